"""What is public of `app.jobs`: nothing outside it may import past that."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: The modules that are public; of each, what its `__all__` lists.
FACE = (
    "app.jobs",
    "app.jobs.cli.kit",
    "app.jobs.doctor",
    "app.jobs.events",
    "app.jobs.kit",
    "app.jobs.metrics",
    "app.jobs.migrations",
    "app.jobs.operate",
    "app.jobs.otel",
    "app.jobs.sentry",
    "app.jobs.testing",
)
INSIDE = ROOT / "app/jobs"
WHEEL = ROOT / "packages/flask_qstash_jobs/flask_qstash_jobs"
MODULES = [
    *(path for path in sorted((ROOT / "app").rglob("*.py")) if INSIDE not in path.parents),
    *sorted((ROOT / "migrations").rglob("*.py")),
    *(ROOT / "wsgi.py", ROOT / "gunicorn.conf.py"),
]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
TEMPLATES = sorted((INSIDE / "scaffold/templates").glob("*.jinja"))

#: What ships in the wheel, under other names.
SHIPPED = [
    ROOT / "app/gunicorn_hooks.py",
    *(
        path
        for part in ("jobs", "cron", "local_qstash", "dashboard")
        for path in sorted((ROOT / "app" / part).rglob("*.py"))
    ),
]
_SETTING = re.compile(r"""(?<!env)\bconfig(?:\.get\(|\.setdefault\(|\[)\s*["']([A-Z_]+)["']""")
_OWN_SETTING = re.compile(r"(?:ADMIN|JOBS|QSTASH)_[A-Z_]+|BASE_URL|SECRET_KEY(?:_FALLBACKS)?")

_BLOCK = re.compile(r"^```py\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_IMPORT = re.compile(
    r"^\s*(from app\.jobs[\w.]* import (?:\([^)]*\)|.*)|import app\.jobs.*)$", re.MULTILINE
)


def past_the_face(code: str, package: Sequence[str] = ("app",)) -> set[str]:
    """Return what code of a package imports of `app.jobs` that is not public."""
    return {name for name in imported(code, package) if not is_public(name)}


def imported(code: str, package: Sequence[str] = ()) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def is_public(name: str) -> bool:
    if not name.startswith("app.jobs."):
        return True
    module, _, last = name.rpartition(".")
    return name in FACE or (module in FACE and last in import_module(module).__all__)


def test_no_module_imports_past_the_face() -> None:
    past = {
        module: past_the_face(module.read_text(), module.relative_to(ROOT).parent.parts)
        for module in MODULES
    }

    assert only_found(past) == {}


def only_found(by_path: Mapping[Path, Collection[str]]) -> dict[str, Collection[str]]:
    """Leave those files of which something was found."""
    return {str(path.relative_to(ROOT)): found for path, found in by_path.items() if found}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_no_page_shows_an_import_past_the_face(page: Path) -> None:
    found = {name for block in _BLOCK.findall(page.read_text()) for name in imports_in(block)}

    assert {name for name in found if not is_public(name)} == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_new_job_imports_past_the_face(template: Path) -> None:
    found = imports_in(template.read_text().replace("{{ face }}", "app.jobs"))

    assert found
    assert {name for name in found if not is_public(name)} == set()


def imports_in(text: str) -> set[str]:
    """Return what a text imports that is no whole module, as a block of a page may be."""
    try:
        return set(imported(text))
    except SyntaxError:
        return {name for line in _IMPORT.findall(text) for name in imported(line)}


def test_pages_are_looked_at() -> None:
    blocks = [block for page in PAGES for block in _BLOCK.findall(page.read_text())]

    assert sum("app.jobs.JobBlueprint" in imports_in(block) for block in blocks) > 1


@pytest.mark.parametrize(
    "code",
    [
        "from app.jobs.table import attempts",
        "from app.jobs.table.models import JobExecution",
        "from app.jobs import table",
        "import app.jobs.extension",
        "from .jobs.extension import DEFAULTS",
        "def late():\n    from app.jobs.kit import Any",
    ],
)
def test_an_import_past_the_face_is_found(code: str) -> None:
    assert len(past_the_face(code)) == 1


@pytest.mark.parametrize("module", FACE)
def test_the_wheel_has_it_under_its_own_name(module: str) -> None:
    name = module.removeprefix("app.jobs").lstrip(".").replace(".", "/") or "__init__"
    thin = WHEEL / f"{name}.py"

    dots = "." * (len(thin.relative_to(WHEEL).parts))
    assert f"from {dots}{module.removeprefix('app.')} import *" in thin.read_text()


@pytest.mark.parametrize("module", FACE)
def test_what_is_public_is_there(module: str) -> None:
    found = import_module(module)

    assert [name for name in found.__all__ if not hasattr(found, name)] == []
    assert list(found.__all__) == sorted(set(found.__all__), key=isort_key)


def test_what_the_wheel_ships_imports_nothing_by_the_name_of_this_app() -> None:
    by_its_name = {
        module: [name for name in imported(module.read_text()) if name.startswith("app.")]
        for module in SHIPPED
    }

    assert only_found(by_its_name) == {}


def test_the_extension_reads_settings_of_its_own_and_flask_s() -> None:
    read = {module: set(_SETTING.findall(module.read_text())) for module in SHIPPED}
    of_others = {
        module: {name for name in names if not _OWN_SETTING.fullmatch(name)}
        for module, names in read.items()
    }

    assert only_found(of_others) == {}


def test_settings_that_are_read_are_found() -> None:
    read = {name for module in SHIPPED for name in _SETTING.findall(module.read_text())}

    assert {"BASE_URL", "QSTASH_TOKEN", "JOBS_ID_TYPE", "SECRET_KEY"} <= read


def isort_key(name: str) -> tuple[bool, bool, str]:
    """Sort as ruff does: constants, classes, functions."""
    return (not name.isupper(), not name[0].isupper(), name)


def test_the_page_of_what_is_public_names_nothing_else() -> None:
    page = (ROOT / "docs/extending.md").read_text()
    rows = re.findall(r"^\| `(app\.jobs[\w.]*)` \| (.*) \|$", page, re.MULTILINE)
    named = {(module, name) for module, text in rows for name in re.findall(r"`(\w+)`", text)}
    named |= {
        (f"app.jobs.{module}", name)
        for module, name in re.findall(r"`@?(doctor|events|migrations|operate)\.(\w+)\b", page)
    }

    assert {module for module, _ in rows} == set(FACE)
    assert len(named) > len(FACE)
    assert {one for one in named if one[1] not in import_module(one[0]).__all__} == set()
