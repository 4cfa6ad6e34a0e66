"""What docs/testing.md shows is true: its examples are run as one file of tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs/testing.md").read_text()


def test_the_examples_of_the_page_work_as_they_stand(tmp_path: Path, database_server: str) -> None:
    for folder in ("app", "tests/support", "migrations"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ("pyproject.toml", "wsgi.py", "tests/conftest.py", "tests/__init__.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    examples = re.findall(r"^```python\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    (tmp_path / "tests/test_orders.py").write_text("\n\n".join(examples))

    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_orders.py"]
    env = {**os.environ, "TEST_DATABASE_URL": database_server, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    tests = len(re.findall(r"^def test_", "".join(examples), re.MULTILINE))
    assert f"{tests} passed" in done.stdout, done.stdout + done.stderr
