"""The app as `make dev` runs it, within this process: HTTP, QStash and PostgreSQL are real."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.db import db
from app.families.email.template import TEMPLATES
from app.families.reports.catalog import TYPES
from app.families.webhooks.handlers import REGISTRATIONS
from app.families.webhooks.sources import SOURCES
from app.local_qstash.testing import LocalQStash
from tests.docs.pages import ROOT
from tests.docs.terminal import Terminal, terminal
from tests.support.apps import close_connections, empty_tables, settings
from tests.support.http_server import serving
from tests.support.ports import reserved_port

DECLARED: tuple[dict[str, Any], ...] = (TEMPLATES, TYPES, SOURCES)


@pytest.fixture(autouse=True)
def declarations() -> Iterator[None]:
    """Forget what pages declare: outside of tests a process imports what it has, and no more."""
    kept, registrations = [dict(one) for one in DECLARED], list(REGISTRATIONS)
    yield
    for declared, before in zip(DECLARED, kept, strict=True):
        declared.clear()
        declared.update(before)
    REGISTRATIONS[:] = registrations


@pytest.fixture
def served(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An app that QStash delivers to, a hundred times faster."""
    port = reserved_port()
    with LocalQStash(speed=100) as qstash:
        app = create_app(
            {
                **settings(database_url),
                "BASE_URL": f"http://127.0.0.1:{port}",
                "QSTASH_URL": qstash.url,
                "QSTASH_TOKEN": qstash.token,
            },
            instance=tmp_path / "instance",
        )
        with serving(app, port), app.app_context():
            yield app
            db.session.rollback()
    with app.app_context():
        empty_tables()
        close_connections()


@pytest.fixture
def shell(served: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal in a folder of its own, as commands may write files where they are."""
    (tmp_path / "migrations").symlink_to(ROOT / "migrations")
    monkeypatch.chdir(tmp_path)
    with terminal(served, tmp_path) as opened:
        yield opened
