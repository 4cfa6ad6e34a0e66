"""The job `send-alert`: one message through one channel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app
from marshmallow import fields, validate

from app.families.alerts import bp
from app.families.alerts.channels import CHANNELS, configured, deliver
from app.families.alerts.messages import compose
from app.jobs import Job, PayloadSchema

#: Seconds of the job's time reserved for recording that the recipient did not answer.
RESERVE = 1.0


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to send.

    Attributes:
        health: What `GET /api/admin/job-health` answered when it was evaluated.
        since: When its verdict was first found.
    """

    channel: str
    kind: str
    previous: str
    health: dict[str, Any]
    since: datetime | None = None


class AlertSchema(PayloadSchema[Alert]):
    model = Alert

    channel = fields.String(required=True, validate=validate.OneOf(tuple(CHANNELS)))
    kind = fields.String(required=True)
    previous = fields.String(required=True)
    health = fields.Dict(required=True)
    since = fields.AwareDateTime(allow_none=True)


@bp.job(
    "send-alert",
    "/alert",
    payload=AlertSchema,
    retries=5,
    timeout=30,
    unwatched=True,
    description="Send an alert through one channel",
)
def send_alert(payload: Alert, job: Job) -> dict[str, Any]:
    """Send a message, once if the recipient recognises its key.

    Resend and receivers of Standard Webhooks do; Slack may show a message twice after a crash.
    """
    if payload.channel not in configured(current_app.config):
        return {"skipped": f"{payload.channel} is no longer configured"}
    message = compose(
        payload.kind,
        previous=payload.previous,
        since=payload.since.isoformat() if payload.since else None,
        health=payload.health,
    )
    patience = job.deadline - RESERVE
    deliver(payload.channel, message, key=job.idempotency_key, patience=patience)
    return {"channel": payload.channel}
