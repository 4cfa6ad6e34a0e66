"""The pages for hosts: what stands on them is a whole app, whose jobs run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from app.local_qstash.settings import DEVELOPMENT
from tests.support.apps import fresh_database

ROOT = Path(__file__).parents[2]
PAGES = [
    "app-factory",
    "global-app",
    "api-behind-a-prefix",
    "uuid-keys",
    "multi-tenant",
]
#: Each finds nothing of the other's.
TESTS = """
import pytest
from flask_qstash_jobs.testing import assert_enqueued, drain, refute_enqueued
from shop import db
from shop.models import Order


@pytest.mark.parametrize("order", [1, 2])
def test_an_order_is_confirmed(app, published, order):
    refute_enqueued("confirm-order")

    assert app.test_client().post("/orders").status_code == 201

    assert_enqueued("confirm-order")
    assert len(drain()) == 1
    assert [one.state for one in db.session.query(Order)] == ["confirmed"]
"""
_FILE = re.compile(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_a_whole_app(
    name: str, package: Path, tmp_path: Path, database_server: str
) -> None:
    page = write_files(name, tmp_path)
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


def test_its_tests_leave_the_database_of_development_alone(
    package: Path, tmp_path: Path, database_server: str
) -> None:
    write_files("app-factory", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_orders.py").write_text(TESTS)

    with fresh_database(database_server, "development") as url:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
            cwd=tmp_path,
            env={
                "BASE_URL": "http://127.0.0.1:5000",
                "QSTASH_URL": "http://127.0.0.1:9",  # the discard port: refused at once
                "QSTASH_TOKEN": DEVELOPMENT.token,
                "QSTASH_CURRENT_SIGNING_KEY": DEVELOPMENT.current_signing_key,
                "QSTASH_NEXT_SIGNING_KEY": DEVELOPMENT.next_signing_key,
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(package.parent),
                "DATABASE_URL": url,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        engine = create_engine(url)
        tables = inspect(engine).get_table_names()
        engine.dispose()

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert tables == []


def write_files(name: str, folder: Path) -> str:
    """Write the files of a page, and return the page."""
    page = (ROOT / f"docs/{name}.md").read_text()
    for file, text in _FILE.findall(page):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return page


def test_each_is_linked_where_one_adds_to_an_app() -> None:
    for index in ("docs/add-to-your-app.md", "docs/README.md", "llms.txt"):
        text = (ROOT / index).read_text()
        assert [name for name in PAGES if f"{name}.md)" not in text] == [], index
