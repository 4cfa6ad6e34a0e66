"""What README shows is true: its example is made and run, its tables are complete."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.test_config import names_in

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def example_files() -> dict[str, str]:
    """Return the files that README shows: a path on a line of its own, then the code."""
    return dict(
        re.findall(
            r"^`((?:app|tests)/\S+\.py)`\n\n```python\n(.*?)```", README, re.MULTILINE | re.DOTALL
        )
    )


def test_the_example_of_a_job_type_works_as_it_stands(tmp_path: Path, database_server: str) -> None:
    for folder in ("app", "tests/support", "migrations"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ("pyproject.toml", "wsgi.py", "tests/conftest.py", "tests/__init__.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    files = example_files()
    assert len(files) == 3
    for path, code in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code)

    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/families/sms"]
    env = {**os.environ, "TEST_DATABASE_URL": database_server, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_every_setting_stands_in_the_table() -> None:
    table = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))

    assert table == names_in((ROOT / ".env.example").read_text())
