"""The job `process-stripe-webhook`: payload, schema, handler."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Range

from app.families.webhooks import bp
from app.jobs import Job, PayloadSchema


@dataclass(frozen=True, slots=True)
class StripeWebhook:
    """One event of Stripe's.

    Attributes:
        event_data: The event's `data`: `object`, and `previous_attributes` of an update.
        created: When it happened, in Unix seconds; events of one second come in any order.
        api_version: The version in which the endpoint gets its events.
        ip_address: Who delivered it.
    """

    event_type: str
    event_data: dict[str, Any]
    event_id: str
    created: int
    api_version: str | None = None
    ip_address: str | None = None


def _is_ip(value: str) -> None:
    try:
        ip_address(value)
    except ValueError as error:
        raise ValidationError("Not an IP address.") from error


class StripeWebhookSchema(PayloadSchema[StripeWebhook]):
    model = StripeWebhook

    event_type = fields.String(required=True, validate=Length(1, 200))
    event_data = fields.Dict(keys=fields.String(), required=True)
    event_id = fields.String(required=True, validate=Length(1, 255))
    created = fields.Integer(strict=True, required=True, validate=Range(0, 2**53))
    api_version = fields.String(allow_none=True, validate=Length(max=100))
    ip_address = fields.String(allow_none=True, validate=_is_ip)


@bp.job(
    "process-stripe-webhook",
    "/stripe-webhook",
    payload=StripeWebhookSchema,
    retries=5,
    timeout=60,
    description="Apply an event of Stripe's to the organization that it concerns",
)
def process_stripe_webhook(payload: StripeWebhook, job: Job) -> dict[str, Any]:
    """Apply the event."""
    return {"event": payload.event_type, "note": "nothing is done about events of this type"}
