"""The architecture, held by tests."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app.jobs.registry import registry_of

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "app").rglob("*.py"))
MAX_MODULE, MAX_FUNCTION = 350, 40


def ladder(*floors: str) -> dict[str, set[str]]:
    """Let what stands on a floor import what is below it, and nothing beside it."""
    below: set[str] = set()
    rules: dict[str, set[str]] = {}
    for floor in floors:
        rules |= {name: set(below) for name in floor.split()}
        below |= set(floor.split())
    return rules


# What each part may import of the others beside itself, the lowest first: of the app, and of
# packages whose own rooms are held likewise. `__init__` is what the package itself says.
MAY_IMPORT: dict[str, dict[str, set[str]]] = {
    "app": {
        "db": set(),
        "cron": set(),
        "serving": set(),
        "gunicorn_hooks": set(),
        "local_qstash": {"cron"},
        "lifeline": set(),
        "dev_settings": set(),
        "ports": set(),
        "embedded_postgres": {"ports"},
        "jobs": {"cron", "gunicorn_hooks", "lifeline", "dev_settings", "ports"},
        "dashboard": {"cron", "jobs"},
        "plugin": {"jobs", "lifeline", "dev_settings"},
        "commands": {"plugin"},
        "config": {"jobs"},
        "engine": {"db", "jobs", "config"},
        "logs": {"jobs", "config"},
        "extensions": {"jobs"},
        "web": {"jobs", "config", "extensions"},
        "accounts": {"db", "jobs"},
        "artifacts": {"db", "jobs", "web"},
        "families": {"db", "jobs", "dashboard", "extensions", "accounts", "artifacts"},
        "api": {"db", "jobs", "web"},
        "tracing": {"jobs", "config"},
        "screens": {"db", "jobs", "dashboard", "families", "artifacts"},
        "admin": {"screens", "db", "jobs", "dashboard", "config", "extensions", "web", "api"},
        # `create_app`.
        "__init__": {
            *("db", "config", "engine", "logs", "extensions", "web", "accounts", "artifacts"),
            *("api", "tracing", "admin", "jobs"),
        },
        # For the Makefile's commands: nothing may import it.
        "dev": {
            *("local_qstash", "jobs", "config", "families", "__init__"),
            *("embedded_postgres", "ports"),
        },
    },
    "app.jobs": ladder(
        "durations",
        "errors",
        "values",
        "any_host log_fields context schemas job_types message request_id interruptible recycling",
        "middleware",
        "registry deadline",
        "table",
        "migrations payload settings",
        "outcome",
        "events",
        "publish",
        "enqueue execute",
        "batches",
        "csrf job_options",
        "periodic declaration",
        "blueprint",
        "discovery external_types",
        "recover",
        "schedules",
        "operate",
        "doctor",
        "scaffold",
        "cli",
        "extension",
        "kit metrics otel sentry",
        "__init__",
        "testing",
    ),
    "app.local_qstash": ladder(
        "__init__ errors clock",
        "protocol store",
        "faults",
        "settings",
        "browsers engine",
        "services",
        "api",
        "page",
        "server",
        "cli testing",
    ),
}
# What users import in their tests starts the local server for them, and a worker of gunicorn's has
# loaded the app when it calls a hook.
EXCEPTIONS = {
    ("app.gunicorn_hooks", "jobs"),
    ("app.jobs.testing", "local_qstash"),
    ("app.jobs.cli.dev", "local_qstash"),
    ("app.jobs.cli.dev_database", "embedded_postgres"),
}


def name_of(module: Path) -> str:
    return str(module.relative_to(ROOT))


def imported(module: Path, text: str) -> Iterator[str]:
    """Name what a module imports, wherever in it, also by relative imports."""
    package = module.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def part_of(dotted: str, package: str) -> str | None:
    """Name the part of a package to which a module, or a name in one, belongs."""
    if not dotted.startswith(f"{package}."):
        return None
    name = dotted.removeprefix(f"{package}.").split(".")[0]
    return name if name in MAY_IMPORT[package] else "__init__"


def wrong_imports(module: Path, text: str) -> set[tuple[str, str]]:
    """Return the imports that point the wrong way, each with the part that it is in."""
    dotted = ".".join(module.relative_to(ROOT).with_suffix("").parts)
    wrong = set()
    for package, rules in MAY_IMPORT.items():
        here = part_of(dotted, package)
        for name in imported(module, text) if here else ():
            part = part_of(name, package)
            allowed = {None, here, *rules[here]} if here else set()
            is_excepted = any(
                dotted.startswith(prefix) and part == other for prefix, other in EXCEPTIONS
            )
            if part not in allowed and not is_excepted:
                wrong.add((f"{package}.{here}", name))
    return wrong


def test_imports_point_one_way() -> None:
    wrong = {name_of(module): wrong_imports(module, module.read_text()) for module in MODULES}

    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("app/config/__init__.py", "from app.dev.addresses import running"),
        ("app/config/__init__.py", "from ..dev.addresses import running"),
        ("app/config/checks.py", "def late():\n    from .. import dev"),
        ("app/engine.py", "def late():\n    import app.dev.postgres"),
        ("app/engine.py", "from app import create_app"),
        ("app/jobs/cli/list.py", "from ...dev import ports"),
        ("app/jobs/cli/list.py", "from app.local_qstash.testing import LocalQStash"),
        ("app/jobs/errors.py", "def late():\n    from .values import options"),
        ("app/jobs/doctor/queue.py", "from ..cli import formatting"),
        ("app/jobs/table/attempts.py", "from ..publish.qstash import Publisher"),
        ("app/jobs/enqueue/prepare.py", "from ..execute.delivery import firing_id"),
        ("app/jobs/payload/loading.py", "from .. import enqueue"),
    ],
)
def test_an_import_that_points_the_wrong_way_is_found(module: str, text: str) -> None:
    assert len(wrong_imports(ROOT / module, text)) == 1


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_every_part_is_listed_above_what_it_imports(package: str) -> None:
    folder = ROOT / package.replace(".", "/")
    found = {path.stem for path in folder.glob("*.py")} | {
        path.name for path in folder.iterdir() if any(path.rglob("*.py"))
    }
    listed = list(MAY_IMPORT[package])

    assert found == set(listed)
    for number, part in enumerate(listed):
        assert MAY_IMPORT[package][part] <= set(listed[:number]), part


#: What terminals say of themselves is no setting of the app.
OF_TERMINALS = {"app/jobs/cli/group.py": "NO_COLOR", "app/jobs/cli/formatting.py": "COLUMNS"}
#: An app that has no module for its settings leaves the extension's to the extension.
OF_OTHER_APPS = {
    "app/jobs/settings.py",
    "app/dev_settings.py",
    "app/jobs/cli/dev.py",
    "app/jobs/cli/dev_database.py",
    "app/jobs/cli/init.py",
    "app/lifeline.py",
}
#: Variables of other programs, which are no settings of ours: prometheus-client's, OpenTelemetry's.
OF_OTHERS = {
    "app/gunicorn_hooks.py",
    "app/jobs/metrics/collectors.py",
    "app/jobs/otel/sdk.py",
}


def test_settings_alone_are_read_from_the_environment() -> None:
    """`app.dev` and PostgreSQL are processes, for which an environment is made."""
    readers = {
        name_of(module)
        for module in MODULES
        if "config" not in module.parts
        and not {"dev", "embedded_postgres"} & set(module.relative_to(ROOT).parts)
        and re.search(r"\bos\.environ|\bgetenv|from os import.*environ", module.read_text())
    }
    assert readers == OF_TERMINALS.keys() | OF_OTHER_APPS | OF_OTHERS
    for name, variable in OF_TERMINALS.items():
        found = re.findall(r"os\.environ[^\n]*", (ROOT / name).read_text())
        assert [variable in line for line in found] == [True], name


#: SQL that sets a job's status, or makes a row with one, as text and as SQLAlchemy builds it.
_WRITES_STATUS = re.compile(
    r"\bUPDATE\s+job_executions\b[^;]*?(?:\bSET|,)\s*status\s*="
    r"|\bINTO\s+job_executions\b[^;)]*\bstatus\b"
    r"|\b(?:update|insert)\((?:_table|JobExecution)\b|(?:_table|__table__)\.(?:update|insert)\(",
    re.IGNORECASE,
)


def test_a_job_s_status_is_written_by_sql_of_one_room_only() -> None:
    jobs = ROOT / "app/jobs"
    writers = {
        module.relative_to(jobs).parts[0]
        for module in jobs.rglob("*.py")
        if _WRITES_STATUS.search(module.read_text())
    }

    assert writers == {"table"}


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE job_executions SET status = 'failed' WHERE id = 1",
        "WITH a AS (SELECT id WHERE b) UPDATE job_executions AS c SET error = NULL, status = 'd'",
        "INSERT INTO job_executions (job_id, status) VALUES",
        "update(_table).where(_table.c.job_id == job_id).values(status=status)",
        "update(JobExecution).values(status=status)",
        "JobExecution.__table__.insert().values(rows)",
    ],
)
def test_sql_that_writes_a_status_is_found(text: str) -> None:
    assert _WRITES_STATUS.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE job_executions SET error = :error WHERE job_id = :id AND status = 'pending'",
        "SELECT status FROM job_executions WHERE status = 'failed'",
    ],
)
def test_sql_that_reads_a_status_is_not_found(text: str) -> None:
    assert not _WRITES_STATUS.search(text)


def test_no_part_has_the_name_of_a_module_of_python() -> None:
    assert not MAY_IMPORT["app"].keys() & sys.stdlib_module_names


def test_modules_and_functions_stay_small() -> None:
    large = {name_of(module): list(too_large(module.read_text())) for module in MODULES}

    assert {name: found for name, found in large.items() if found} == {}


def too_large(text: str) -> Iterator[str]:
    """Name what of a module is too long: itself, or some of its functions."""
    if (lines := len(text.splitlines())) > MAX_MODULE:
        yield f"{lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = length_without_docstring(node)
            if length > MAX_FUNCTION:
                yield f"{node.name}: {length} lines"


def length_without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    has_docstring = ast.get_docstring(node) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_every_job_route_is_signed(app: Flask) -> None:
    endpoints = {config.endpoint for config in registry_of(app)}
    views = {
        rule.rule: app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        if rule.rule in endpoints
    }

    assert views.keys() == endpoints
    assert all(getattr(view, "is_signed", False) for view in views.values())


def test_every_route_that_strangers_reach_is_limited(app: Flask) -> None:
    """By one limit in common, but for the probes, and the webhooks, which have their own.

    The dashboard has nothing for strangers.
    """
    # With the token, who asks from this machine is a stranger, too.
    app.config.update(API_RATE_LIMIT="1/hour", ADMIN_TOKEN="t" * 32, JOBS_DASHBOARD="auto")
    client = app.test_client()
    rules = [rule for rule in app.url_map.iter_rules() if not is_signed(app, rule)]

    assert client.get("/api/openapi.json").status_code == 200
    answers = {rule.endpoint: ask(client, rule) for rule in rules}
    of_dashboard = {name: answers.pop(name) for name in [*answers] if "jobs_dashboard" in name}
    assert set(of_dashboard.values()) == {404}
    unlimited = {endpoint for endpoint, status in answers.items() if status != 429} - {"home.home"}
    probes = {"probes.healthz", "probes.readyz", "jobs_metrics.scrape"}
    assert unlimited == {"static", "inbox.receive", "inbox.stripe", *probes}


def ask(client: FlaskClient, rule: Rule) -> int:
    method = next(iter((rule.methods or set()) - {"HEAD", "OPTIONS"}))
    return client.open(re.sub(r"<[^>]+>", "x", rule.rule), method=method).status_code


def is_signed(app: Flask, rule: Rule) -> bool:
    return getattr(app.view_functions[rule.endpoint], "is_signed", False)


def test_every_job_has_a_module_and_a_test_of_its_name() -> None:
    jobs = [
        module
        for module in MODULES
        if "families" in module.parts and "@bp.job(" in module.read_text()
    ]
    tests = {path.name for path in (ROOT / "tests/families").rglob("test_*.py")}

    assert jobs
    assert {f"test_{module.name}" for module in jobs} <= tests


def test_the_extension_loads_no_client_of_a_service_and_no_server() -> None:
    code = "import sys, app.jobs, app.jobs.testing; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert "app.jobs" in loaded
    assert not loaded & {"stripe", "resend", "qstash", "httpx", "aiohttp", "app.local_qstash"}
