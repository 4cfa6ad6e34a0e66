"""The tests' own house: what they share has a module of its own, and nothing private is reached."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = sorted(TESTS.rglob("*.py"))


def bound(source: str, module: str) -> Iterator[tuple[str, str]]:
    """Yield each name that a module binds by an import from the app or the tests, and to what."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(module.split(".")[: -node.level]) if node.level else ""
            origin = ".".join(filter(None, [above, node.module]))
            yield from ((one.asname or one.name, f"{origin}.{one.name}") for one in node.names)


def faults(source: str, module: str) -> Iterator[str]:
    ours = {name: what for name, what in bound(source, module) if what.startswith(("app", "tests"))}
    for what in ours.values():
        parts = what.split(".")
        if any(part.startswith("test_") or part == "conftest" for part in parts[1:]):
            yield f"{what} is a test's own"
        if any(part.startswith("_") for part in parts):
            yield f"{what} is private"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            if private and node.value.id in ours:
                yield f"{ours[node.value.id]}.{node.attr} is private"


def test_no_test_imports_another_test_or_reaches_what_is_private() -> None:
    dotted = {path: path.relative_to(TESTS.parent).with_suffix("").parts for path in MODULES}
    found = {
        ".".join(parts): list(faults(path.read_text(), ".".join(parts)))
        for path, parts in dotted.items()
    }

    assert {module: said for module, said in found.items() if said} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from tests.jobs.test_executor import row_of",
        "from tests.conftest import app",
        "from .test_cli import started",
        "from ..conftest import server",
        "from app.jobs.extension import _publisher",
        "from app.jobs import _private",
        "import tests.jobs.test_executor",
        "from app.jobs.execute import deadline\ndeadline._running",
        "def late():\n    from tests.conftest import app",
    ],
)
def test_each_way_to_do_it_is_found(source: str) -> None:
    assert len(list(faults(source, "tests.local_qstash.test_crash"))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from tests.support.rows import row_of",
        "from .destination import Destination",
        "from app.db import db\ndb.__class__",
        "from flask import _private",
    ],
)
def test_what_is_allowed_is_not_found(source: str) -> None:
    assert list(faults(source, "tests.local_qstash.test_crash")) == []
