"""The architecture, held by tests."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.routing import Rule

from app.jobs.registry import registry_of

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "app").rglob("*.py"))
MAX_MODULE, MAX_FUNCTION = 350, 40

# What each part may import of the app beside itself; `create_app` and its helpers may all.
MAY_IMPORT = {
    "db": set(),
    "cron": set(),
    "jobs": {"db", "cron"},
    "local_qstash": {"cron"},
    "accounts": {"db", "jobs"},
    "artifacts": {"db", "jobs"},
    "families": {"db", "jobs", "accounts", "artifacts", "extensions"},
    "api": {"db", "jobs", "extensions", "errors"},
    "metrics": {"jobs", "extensions", "worker_metrics"},
    "tracing": {"jobs", "config"},
    "admin": {"db", "jobs", "extensions", "api"},
}


def name_of(module: Path) -> str:
    return str(module.relative_to(ROOT))


def parts_imported(module: Path) -> Iterator[str]:
    """Name the parts of `app` that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            source = node.module or ""
            names = [f"{source}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("app."))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_one_way(module: Path) -> None:
    part = module.relative_to(ROOT / "app").parts[0].removesuffix(".py")
    if part not in MAY_IMPORT:
        return
    # What users import in their tests starts the local server for them.
    extra = {"local_qstash"} if "testing" in module.parts or module.stem == "testing" else set()
    assert set(parts_imported(module)) <= MAY_IMPORT[part] | {part} | extra


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_modules_and_functions_stay_small(module: Path) -> None:
    text = module.read_text()
    assert len(text.splitlines()) <= MAX_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert length_without_docstring(node) <= MAX_FUNCTION, node.name


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
    """By one limit in common, but for the probes, and the webhooks, which have their own."""
    app.config["API_RATE_LIMIT"] = "1/hour"
    client = app.test_client()
    rules = [rule for rule in app.url_map.iter_rules() if not is_signed(app, rule)]

    assert client.get("/api/openapi.json").status_code == 200
    unlimited = {
        rule.endpoint
        for rule in rules
        if client.open(
            re.sub(r"<[^>]+>", "x", rule.rule), method=next(iter(rule.methods - {"OPTIONS"}))
        ).status_code
        != 429
    }
    assert unlimited == {
        "static",
        "probes.healthz",
        "probes.readyz",
        "metrics.metrics",
        "inbox.receive",
    }


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
