"""Rows that are hard to export, and exports as a user gets them: by link."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from flask.testing import FlaskClient
from sqlalchemy import select

from app import artifacts
from app.accounts.models import Organization
from app.artifacts import Artifact
from app.db import db
from app.families.exports.catalog import ENTITIES
from app.families.exports.export_data import export_data
from app.families.exports.payload import ExportData
from app.families.webhooks.models import WebhookEvent
from app.jobs import Continue, Job, JobExecution, Status
from app.jobs.testing import make_job

NASTY = [
    'quote " and "" comma, semicolon; and \t tab',
    "line\nbreaks\r\nof \r all kinds\n",
    "back\\slash \\N \\. \\u0041 \\x01",
    "\\.",
    "=HYPERLINK(1)",
    "x;=1+1",
    'x; "@SUM(A1)',
    "first\n=1+1",
    "bar|-1\t+1",
    "-2+3",
    "+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1+1",  # a full-width equals sign
    "'already",
    "😀 é ﷽ \u2028 \ufeff",
    "\x01\x02\x1f\x7f control",
    "_x000D_ and _x0041_",
    "<b>&amp;</b> ]]> <!--",
    "  spaces  ",
    "NULL",
    "null",
    "NaN",
    "",
    "12",
    "2026-01-01",
]


MOMENT = datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=UTC)


FAR_EAST = timezone(timedelta(hours=9))


def a_job(error: str | None = None, **values: Any) -> JobExecution:
    return JobExecution(
        **{
            "job_id": str(uuid4()),
            "job_type": "noop",
            "status": Status.COMPLETED,
            "payload": {"secret": "s3cret"},
            "error": error,
            "completed_at": MOMENT if error else None,
            **values,
        }
    )


def an_event(text: str, **values: Any) -> WebhookEvent:
    event: dict[str, Any] = {"source": "github", "event": text, "delivery_id": str(uuid4())}
    return WebhookEvent(**{**event, "verified": True, "body": b"s3cret", **values})


def paying(plan: str, amount: int) -> Organization:
    return Organization(
        name=f"on {plan}",
        stripe_subscription_id=f"sub_{plan}",
        plan_name=plan,
        subscription_status="active",
        monthly_amount=amount,
        currency="usd",
        subscribed_at=MOMENT,
    )


Export = Callable[..., bytes]


def to_its_end(payload: ExportData, organization_id: int | None = None) -> dict[str, Any]:
    state = None
    while True:
        try:
            result = export_data(payload, leg_of(organization_id, state))
        except Continue as handed_over:
            state = json.loads(json.dumps(handed_over.state))
            result = None
        db.session.commit()
        if result is not None:
            return result


def leg_of(organization_id: int | None, state: dict[str, Any] | None = None) -> Job:
    """Return one leg of a job: always of the same."""
    job_id = "4f1c2d7e-0b5a-4c3e-9d68-1a2b3c4d5e6f"
    return make_job("export-data", id=job_id, organization_id=organization_id, state=state)


def download(client: FlaskClient, artifact_id: str) -> bytes:
    artifact = db.session.get(Artifact, artifact_id)
    assert artifact is not None
    with client.get(urlsplit(artifacts.link(artifact)).path) as answer:
        assert (answer.status_code, len(answer.data)) == (200, artifact.size)
        return bytes(answer.data)


def in_database(name: str) -> list[dict[str, Any]]:
    """Return the rows of an entity as SQLAlchemy reads them, by their columns' names."""
    entity = ENTITIES[name]
    columns = [column.expression.label(column.name) for column in entity.columns]
    found = select(*columns).where(entity.where).order_by(entity.key)
    return [dict(row) for row in db.session.execute(found).mappings()]
