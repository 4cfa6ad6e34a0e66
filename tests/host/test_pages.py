"""The pages for hosts: what stands on them is a whole app, whose jobs run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.apps import fresh_database

ROOT = Path(__file__).parents[2]
PAGES = [
    "app-factory",
    "global-app",
    "api-behind-a-prefix",
    "uuid-keys",
    "multi-tenant",
]
_FILE = re.compile(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_a_whole_app(
    name: str, package: Path, tmp_path: Path, database_server: str
) -> None:
    page = (ROOT / f"docs/{name}.md").read_text()
    for file, text in _FILE.findall(page):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    prefix = re.search(r"BASE_URL=http://127\.0\.0\.1:5000(/\w+)", page)
    app = re.search(r"FLASK_APP=(\w+)", page)

    with fresh_database(database_server, f"page_{os.getpid()}") as url:
        done = subprocess.run(  # noqa: S603 - our own program
            [
                *(sys.executable, ROOT / "tests/host/page.py", url, prefix[1] if prefix else ""),
                *re.findall(r"^curl .*$", page, re.MULTILINE),
            ],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{tmp_path}:{package.parent}",
                "FLASK_APP": app[1] if app else "app",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_is_linked_where_one_adds_to_an_app() -> None:
    for index in ("docs/add-to-your-app.md", "docs/README.md", "llms.txt"):
        text = (ROOT / index).read_text()
        assert [name for name in PAGES if f"{name}.md)" not in text] == [], index
