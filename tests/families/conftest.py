"""Senders of webhooks, for the families that take them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.families.webhooks.handlers import REGISTRATIONS
from app.families.webhooks.sources import SOURCES
from app.jobs.message import Message
from tests.support.webhooks import EVENTS, Post, signed


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """Forget what a test declares."""
    sources, registrations = dict(SOURCES), list(REGISTRATIONS)
    yield
    SOURCES.clear()
    SOURCES.update(sources)
    REGISTRATIONS[:] = registrations


@pytest.fixture
def post(app: Flask, client: FlaskClient, published: list[Message]) -> Post:
    """Send an event as its source does; what is given stands above what that would send."""

    def send(
        name: str,
        event: Any = None,
        *,
        delivery_id: str = "delivery-1",
        body: bytes | None = None,
        headers: dict[str, str | None] | None = None,
        **options: Any,
    ) -> TestResponse:
        raw = json.dumps(EVENTS[name] if event is None else event).encode()
        made = {"Content-Type": "application/json", **signed(app, name, raw, delivery_id)}
        if name == "github":
            made |= {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": delivery_id}
        sent = {key: value for key, value in {**made, **(headers or {})}.items() if value}
        path = "/api/stripe/webhook" if name == "stripe" else f"/api/webhooks/{name}"
        return client.post(path, data=raw if body is None else body, headers=sent, **options)

    return send
