"""What README shows is true: its example is made and run, its tables are complete."""

import re
from pathlib import Path

from tests.support.apps import names_in
from tests.support.project import copy_project, run_python

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
    copy_project(tmp_path)
    files = example_files()
    assert len(files) == 3
    for path, code in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code)

    done = run_python(tmp_path, database_server, "-m", "pytest", "-q", "tests/families/sms")

    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_every_setting_stands_in_the_table() -> None:
    table = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", README, re.MULTILINE))

    assert table == names_in((ROOT / ".env.example").read_text())


def test_fault_A24_the_makefile_names_no_host() -> None:
    text = (ROOT / "Makefile").read_text()

    assert re.findall(r"https?://|\b[a-z0-9-]+\.(?:org|com|net|io)\b", text) == []
