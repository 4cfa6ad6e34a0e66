"""Families are found by one rule; what breaks it stops the start and is named."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from app.jobs import Jobs, get_job_config
from app.jobs.errors import DiscoveryError, JobsNotInitialised
from app.jobs.registry import registry_of
from tests.support.apps import PRODUCTION
from tests.support.qstash import CURRENT, NEXT

JOB = """
from dataclasses import dataclass
from app.jobs import PayloadSchema
from . import bp

@dataclass(frozen=True)
class Nothing: ...

class NothingSchema(PayloadSchema[Nothing]):
    model = Nothing

@bp.job("{type}", "{path}", payload=NothingSchema)
def handler(payload, job): ...
"""
BLUEPRINT = "from app.jobs import JobBlueprint\nbp = JobBlueprint('{name}', __name__)\n"

Package = Callable[[dict[str, str]], str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Write a package of families and return its name."""

    def write(files: dict[str, str]) -> str:
        for name, content in {"__init__.py": "", **files}.items():
            path = tmp_path / "found_families" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        monkeypatch.syspath_prepend(str(tmp_path))
        for name in [name for name in sys.modules if name.startswith("found_families")]:
            monkeypatch.delitem(sys.modules, name)
        return "found_families"

    return write


def start(families: str | None = None, **config: str) -> Flask:
    app = Flask("bare")
    app.config.update(
        BASE_URL="https://app.example.com/",
        QSTASH_TOKEN="t",
        QSTASH_CURRENT_SIGNING_KEY=CURRENT,
        QSTASH_NEXT_SIGNING_KEY=NEXT,
        SQLALCHEMY_DATABASE_URI="postgresql+psycopg://",
    )
    app.config.update(config)
    SQLAlchemy(app)
    Jobs().init_app(app, families=families)
    return app


@pytest.mark.parametrize("name", ["BASE_URL", "QSTASH_URL"])
def test_fault_A16_an_address_in_other_letters_is_refused(name: str) -> None:
    with pytest.raises(
        JobsNotInitialised, match=f"{name}: .* must be ASCII: write it .*xn--exmple"
    ):
        start(**{name: "https://ex\u00e4mple.com"})


def family(name: str, **jobs: str) -> dict[str, str]:
    """Return a family's files; jobs are given as module=type."""
    files = {f"{name}/__init__.py": BLUEPRINT.format(name=name)}
    for module, job_type in jobs.items():
        files[f"{name}/{module}.py"] = JOB.format(type=job_type, path=f"/{job_type}")
    return files


def test_a_family_is_found_with_all_its_jobs(package: Package) -> None:
    app = start(package(family("shop", ship_order="ship-order", bill_order="bill-order")))

    assert [config.type for config in registry_of(app)] == ["bill-order", "ship-order"]
    with app.app_context():
        assert get_job_config("ship-order").endpoint == "/api/jobs/ship-order"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"empty/__init__.py": ""}, "found_families.empty has no `bp = JobBlueprint('empty'"),
        ({"broken/__init__.py": "1/0"}, "found_families.broken cannot be imported: ZeroDivision"),
        ({**family("shop"), "shop/x.py": "import nowhere"}, "found_families.shop.x cannot be imp"),
        (family("shop", wrong="ship-order"), "its module must be called ship_order"),
        (
            family("shop")
            | {
                "shop/ship_order.py": JOB.format(type="ship-order", path="/ship")
                + JOB.format(type="bill-order", path="/bill"),
            },
            "shop.ship_order: move it into a module of its own, which must be called bill_order",
        ),
        (family("a", ship="ship") | family("b", ship="ship"), "'ship' is registered twice"),
        (
            family("a", one="one")
            | family("b")
            | {"b/two.py": JOB.format(type="two", path="/one")},
            "endpoint /api/jobs/one serves two job types",
        ),
        (
            family("a") | {"a/probe.py": JOB.format(type="probe", path="/probe")},
            "/api/jobs/probe is the path of the view",
        ),
    ],
)
def test_what_breaks_the_rule_stops_the_start(
    package: Package, files: dict[str, str], said: str
) -> None:
    with pytest.raises(DiscoveryError) as caught:
        start(package(files))

    assert said in str(caught.value)


def test_without_signing_keys_nothing_starts() -> None:
    with pytest.raises(JobsNotInitialised, match="set QSTASH_NEXT_SIGNING_KEY"):
        start(QSTASH_NEXT_SIGNING_KEY="")


def test_an_app_without_its_database_is_refused() -> None:
    app = Flask("bare")
    app.config.update(start().config)
    with pytest.raises(JobsNotInitialised, match=r"call db.init_app\(app\) before"):
        Jobs(app)

    db, other = SQLAlchemy(app), SQLAlchemy()
    with pytest.raises(JobsNotInitialised, match="another database"):
        Jobs(app, other)
    app.config["JOBS_BIND_KEY"] = "nowhere"
    with pytest.raises(JobsNotInitialised, match="JOBS_BIND_KEY is 'nowhere'"):
        Jobs(app, db)
    app.config["JOBS_BIND_KEY"] = ""
    assert Jobs(app, db)


def test_a_second_init_is_refused() -> None:
    with pytest.raises(JobsNotInitialised, match="call init_app once"):
        Jobs().init_app(start())


def test_two_apps_do_not_share_a_registry(package: Package) -> None:
    name = package(family("shop", ship_order="ship-order"))

    assert len(list(registry_of(start(name)))) == len(list(registry_of(start(name)))) == 1
    assert list(registry_of(start())) == []


def test_an_app_without_the_extension_says_so() -> None:
    with pytest.raises(JobsNotInitialised, match="call `Jobs"):
        registry_of(Flask("bare"))


@pytest.mark.parametrize(
    ("option", "said"),
    [("retries=1000", "retries: 1000 is more"), ("timeout=10**9", "timeout: 1000000000 is more"),
     ("queue='a b'", "queue: 'a b' is not"), ("timeout=0", "timeout: 0 is too short")],
)  # fmt: skip
def test_fault_R19_what_qstash_would_refuse_of_every_job_stops_the_start(
    package: Package, option: str, said: str
) -> None:
    job = JOB.format(type="ship", path="/ship").replace("payload=", f"{option}, payload=")

    with pytest.raises(DiscoveryError, match=f"job type 'ship' .*: {said}"):
        start(package({**family("shop"), "shop/ship.py": job}))


@pytest.mark.parametrize(
    "removed",
    [("cleanup",), ("exports",), ("reports",), ("alerts",), ("stripe",),
     ("webhooks", "stripe", "alerts", "exports"),
     ("email", "webhooks", "stripe", "alerts", "exports", "reports")],
    ids="+".join,
)  # fmt: skip
def test_fault_A25_families_can_be_removed_as_the_docs_say(
    tmp_path: Path, removed: tuple[str, ...]
) -> None:
    root = Path(__file__).parent.parent.parent
    shutil.copytree(root / "app", tmp_path / "app")  # compiled, or each would have to be again
    for family in removed:
        shutil.rmtree(tmp_path / "app/families" / family)
    env = {"PATH": os.defpath, **PRODUCTION}
    if "email" in removed:
        env = {name: value for name, value in env.items() if "RESEND" not in name}

    code = "import app.dev.__main__, app; print(sorted(app.create_app().blueprints))"
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, '.'); {code}"]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=tmp_path, env=env, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert not set(removed) & set(ast.literal_eval(done.stdout))
