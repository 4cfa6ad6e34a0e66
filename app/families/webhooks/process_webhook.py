"""The job `process-webhook`: find the webhook, run its handlers."""

from dataclasses import dataclass
from typing import Any

from marshmallow import fields
from marshmallow.validate import Length

from app.families.webhooks import bp, inbox
from app.families.webhooks.handlers import Webhook, handlers_of
from app.families.webhooks.models import WebhookEvent
from app.jobs import Job, PayloadSchema, PermanentError
from app.jobs.kit import jsonb, remember, sealing


@dataclass(frozen=True, slots=True)
class ProcessWebhook:
    """One webhook to process.

    Attributes:
        data: The sender's JSON. None if the job reads it from the inbox.
        delivery_id: The sender's id, under which the inbox has it. None if it was never there.
    """

    source: str
    event: str
    data: Any = None
    delivery_id: str | None = None


class ProcessWebhookSchema(PayloadSchema[ProcessWebhook]):
    model = ProcessWebhook

    source = fields.String(required=True, validate=Length(1, 50))
    event = fields.String(required=True, validate=Length(1, 200))
    data = fields.Raw(allow_none=True)
    delivery_id = fields.String(allow_none=True, validate=Length(1, 255))


def adapt(payload: dict[str, Any]) -> dict[str, Any]:
    """Drop the signature that the TypeScript starter sends along, which it has verified."""
    return {name: value for name, value in payload.items() if name != "signature"}


@bp.job(
    "process-webhook",
    "/webhook",
    payload=ProcessWebhookSchema,
    retries=3,
    timeout=60,
    adapt=adapt,
    description="Run the handlers of a webhook",
)
def process_webhook(payload: ProcessWebhook, job: Job) -> dict[str, Any]:
    """Run all handlers of the event in this job's transaction; return what they return."""
    handlers = handlers_of(payload.source, payload.event)
    if not handlers:
        return {"note": f"no handler for {payload.source} {payload.event}"}
    webhook = _webhook(payload)
    return {"handlers": {name: handler(webhook, job) for name, handler in handlers.items()}}


def _webhook(payload: ProcessWebhook) -> Webhook:
    row = inbox.find(payload.source, payload.delivery_id) if payload.delivery_id else None
    return Webhook(
        source=payload.source,
        event=payload.event,
        data=_data(payload, row),
        delivery_id=payload.delivery_id,
        received_at=row.received_at if row else None,
        ip_address=str(row.ip_address) if row and row.ip_address else None,
    )


def _data(payload: ProcessWebhook, row: WebhookEvent | None) -> Any:
    if payload.data is not None or payload.delivery_id is None:
        return payload.data
    if row is None:
        raise PermanentError(
            f"{payload.source} {payload.delivery_id} is no longer in the inbox: it was deleted "
            "before this job ran; ask the sender to send it again"
        )
    data = jsonb.loads(inbox.body_of(row).decode())
    if row.sealed:
        # From here on errors and tracebacks do not quote it.
        remember(sealing.clear_texts(["data"], {"data": data}))
    return data
