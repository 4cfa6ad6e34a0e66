"""A copy of this project that a test may add files to, and commands run in it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def copy_project(to: Path) -> None:
    for folder in ("app", "tests/support", "migrations"):
        shutil.copytree(ROOT / folder, to / folder)
    for file in ("pyproject.toml", "wsgi.py", "tests/conftest.py", "tests/__init__.py"):
        shutil.copy(ROOT / file, to / file)


def run_python(
    project: Path, database_server: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with a module and its arguments, on the copy and a server of databases."""
    env = {
        **os.environ,
        "TEST_DATABASE_URL": database_server,
        "PYTHONPATH": str(project),
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }
    return subprocess.run(  # noqa: S603 - ours
        [sys.executable, *arguments],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_passed(done: subprocess.CompletedProcess[str], tests: int) -> None:
    """Check that pytest ran exactly so many tests, and that each of them passed."""
    summary = re.findall(r"^(\d+ \w+(?:, \d+ \w+)*) in [\d.]+s", done.stdout, re.MULTILINE)
    assert (done.returncode, summary) == (0, [f"{tests} passed"]), done.stdout + done.stderr
