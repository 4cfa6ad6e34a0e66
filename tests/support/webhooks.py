"""Senders of webhooks, who sign with the secrets that the app has in development."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import db
from app.families import webhooks
from app.families.webhooks import Webhook
from app.families.webhooks.models import WebhookEvent
from app.families.webhooks.sources import SOURCES
from app.jobs import Job
from tests.support.sample_jobs import Effect

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


def leave_effect(note: str, *, source: str = "github", event: str = "*") -> list[Webhook]:
    """Register a handler that writes to the database; return what it is given, as it comes."""
    seen: list[Webhook] = []

    def handler(webhook: Webhook, job: Job) -> dict[str, Any]:
        seen.append(webhook)
        db.session.add(Effect(job_id=job.id, note=note))
        return {"note": note}

    handler.__name__ = note
    webhooks.on(source, event)(handler)
    return seen


def notes() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Effect.note).order_by(Effect.id)))
