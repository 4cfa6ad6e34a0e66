"""The real stack: PostgreSQL, `flask qstash dev`, gunicorn, a server that speaks Resend's API."""

from collections.abc import Iterator

import pytest
from flask import Flask

from app import create_app
from app.dev.resend_server import ResendServer
from tests.e2e.stack import Stack
from tests.support.apps import close_connections, empty_tables, settings


@pytest.fixture(scope="module")
def resend() -> Iterator[ResendServer]:
    with ResendServer() as server:
        yield server


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, resend: ResendServer
) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"), database_url, resend)
    try:
        stack.start_qstash()
        stack.start_web()
        yield stack
    finally:
        stack.stop()
        with create_app(settings(database_url)).app_context():
            empty_tables()
            close_connections()


@pytest.fixture
def producer(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """An app of its own, in the test's process, that enqueues to the stack."""
    for name, value in stack.settings.items():
        monkeypatch.setenv(name, value)
    app = create_app(instance=stack.folder)
    with app.app_context():
        yield app
        close_connections()
