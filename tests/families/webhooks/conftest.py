"""Senders of webhooks, who sign with the secrets that the app has in development."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import db
from app.families.webhooks.handlers import REGISTRATIONS
from app.families.webhooks.models import WebhookEvent
from app.families.webhooks.sources import SOURCES
from app.jobs.message import Message

Post = Callable[..., TestResponse]

EVENTS: dict[str, dict[str, Any]] = {
    "github": {"action": "opened", "number": 7, "repository": {"full_name": "acme/app"}},
    "resend": {
        "type": "email.bounced",
        "created_at": "2026-11-23T12:00:00.000Z",
        "data": {
            "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
            "to": ["Ann@Example.com"],
            "bounce": {"type": "Permanent", "subType": "General", "message": "No such user."},
        },
    },
    "stripe": {
        "id": "evt_1",
        "object": "event",
        "type": "customer.created",
        "created": 1795435200,
        "api_version": "2026-10-28.endive",
        "data": {"object": {"id": "cus_1", "object": "customer"}},
    },
}


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


def signed(app: Flask, name: str, body: bytes, delivery_id: str = "delivery-1") -> dict[str, str]:
    source = SOURCES[name]
    secret = source.secrets(app.config)[0]
    return source.verifier.sign(body, secret, delivery_id=delivery_id)


def stored() -> list[WebhookEvent]:
    db.session.rollback()
    return list(db.session.scalars(select(WebhookEvent).order_by(WebhookEvent.id)))


def refused(answer: TestResponse, status: int) -> str:
    """Check that an answer is a problem document and that nothing was stored; return its detail."""
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json is not None
    assert stored() == []
    return str(answer.json.get("detail"))
