"""docs/local-qstash.md says what there is, and which test shows it; here it is held to that."""

import ast
import re
from functools import cache
from pathlib import Path

import click
import pytest

from app.local_qstash import server
from app.local_qstash.cli import dev
from app.local_qstash.faults import KINDS

HERE = Path(__file__).parent
APP = Path(server.__file__).parent
TEXT = (HERE.parents[1] / "docs" / "local-qstash.md").read_text()
# Where the names of configuration headers are read, each as a literal.
READERS = ["protocol/admission.py", "protocol/options.py", "api/schedules.py", "api/publish.py"]


def test_every_endpoint_of_the_server_stands_in_the_table_and_no_other() -> None:
    listed = re.findall(r"^\| `([A-Z]+) (/[^`]+)`", TEXT, re.MULTILINE)
    routed = [(method, path) for one in server.MODULES for method, path, _ in one.ROUTES]
    assert sorted((method, _pattern(path)) for method, path in listed) == sorted(
        (method, path if path.startswith("/") else f"/v2/{path}") for method, path in routed
    )


def _pattern(path: str) -> str:
    """Turn a path as it is documented into one as the server's routes spell it."""
    return re.sub(r"{\w+}", "*", path.replace("{destination}", "**"))


def test_every_test_in_the_tables_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT)
    assert len(named) > 100
    assert [f"{file}::{test}" for file, test in named if test not in _tests(file)] == []


@cache
def _tests(file: str) -> set[str]:
    tree = ast.parse((HERE / file).read_text())
    return {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}


def test_every_file_of_the_javascript_suite_stands_in_the_tables_and_no_other() -> None:
    named = set(re.findall(r"`js/([\w-]+\.test\.mjs)`", TEXT))
    assert named == {path.name for path in (HERE / "js").glob("*.test.mjs")}


def test_no_row_of_the_tables_is_without_a_test() -> None:
    rows = re.findall(r"^\| .*\|$", TEXT.partition("## Conformance")[2], re.MULTILINE)
    shown = [row for row in rows if "Shown by" not in row]
    assert [row for row in shown if "::test_" not in row] == []


@pytest.mark.parametrize("file", READERS)
def test_every_header_that_the_server_reads_stands_in_the_tables(file: str) -> None:
    read = set(re.findall(r'"(upstash-[a-z-]+[a-z])"', (APP / file).read_text()))
    assert read
    assert {name for name in read if name not in _headers()} == set()


@cache
def _headers() -> set[str]:
    return {name.lower() for name in re.findall(r"`(Upstash-[\w-]+)", TEXT)}


def test_the_options_are_those_that_the_command_explains() -> None:
    context = click.Context(dev, info_name="flask qstash dev", terminal_width=78)
    options = dev.get_help(context).partition("Options:\n")[2]
    assert options.rpartition("  --help")[0] in TEXT


def test_every_kind_of_fault_is_explained() -> None:
    assert [kind for kind in KINDS if not re.search(rf"^\| `{kind}[:`]", TEXT, re.MULTILINE)] == []
