"""One PostgreSQL for the whole run, one migrated database per worker, one app per test."""

import gc
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import create_engine

from app import create_app
from app.db import db
from app.dev.temporary_postgres import temporary_server
from app.extensions import limiter
from tests.support import shared_certificates, shared_engine, shared_routes
from tests.support.apps import close_connections, empty_tables, fresh_database, settings
from tests.support.measuring import measured_once
from tests.support.sample_jobs import bp

pytest_plugins = [
    "app.jobs.testing",
    "tests.support.metrics",
    "tests.support.mortal",
    "tests.support.node_sdk",
    "tests.support.publishing",
    "tests.support.rows",
]

SERVER = pytest.StashKey[str]()
STACK = pytest.StashKey[ExitStack]()


_FAULTS = re.compile(r"test_fault((?:_[A-Z][0-9]+)+)_")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `-k fault_R6` find the tests of a fault that is known by several numbers."""
    if found := _FAULTS.match(item.name):
        item.extra_keyword_matches.update(f"fault_{one}" for one in found[1].split("_")[1:])


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL once, in the process that the user started."""
    gc.disable()  # until all is collected, which stays
    shared_routes.share()
    shared_certificates.share()
    if hasattr(config, "workerinput"):
        config.stash[SERVER] = config.workerinput["database_server"]
        return
    stack = config.stash[STACK] = ExitStack()
    given = os.environ.get("TEST_DATABASE_URL")
    config.stash[SERVER] = given or stack.enter_context(temporary_server()).url()


def pytest_collection_finish() -> None:
    """Keep modules and tests, which all stay, out of what the collector goes through each time."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    if STACK in config.stash:
        config.stash[STACK].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["database_server"] = node.config.stash[SERVER]


@pytest.fixture(scope="session")
def database_server(pytestconfig: pytest.Config) -> str:
    """The URL of a server on which tests may create databases."""
    return pytestconfig.stash[SERVER]


@pytest.fixture(scope="session")
def database_url(database_server: str, worker_id: str) -> Iterator[str]:
    """A migrated database of this worker's own."""
    with fresh_database(database_server, f"test_{worker_id}_{os.getpid()}") as url:
        with create_app(settings(url)).app_context():
            import flask_migrate  # noqa: PLC0415 - only this fixture needs it

            flask_migrate.upgrade("migrations")
            db.create_all()  # the samples' own table
            close_connections()
        with shared_engine.sharing(url):
            yield url


@pytest.fixture
def empty_app(database_server: str, tmp_path: Path) -> Iterator[Flask]:
    """An app on a database without tables."""
    with fresh_database(database_server, f"empty_{tmp_path.name}") as url:
        app = create_app(settings(url), instance=tmp_path)
        with app.app_context():
            yield app
            close_connections()


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An app with the sample jobs, whose QStash nobody answers for."""
    app = measured_once(create_app, settings(database_url), instance=tmp_path)
    app.register_blueprint(bp)
    limiter.reset()
    with app.app_context():
        yield app
        db.session.rollback()
        measured_once(empty_tables)
        close_connections()


@pytest.fixture
def no_database(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's database has gone away: its port refuses connections."""
    away = create_engine(db.engine.url.set(host="127.0.0.1", port=9))
    monkeypatch.setitem(db.engines, None, away)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def cli(app: Flask) -> FlaskCliRunner:
    # xdist sets a width, by which tables would be wrapped.
    return app.test_cli_runner(env={"COLUMNS": ""})
