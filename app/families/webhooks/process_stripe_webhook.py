"""The job `process-stripe-webhook`: payload, schema, handler."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Range

from app.families.webhooks import bp
from app.families.webhooks.stripe.api import Stripe
from app.families.webhooks.stripe.effects import EFFECTS
from app.families.webhooks.stripe.event import Event
from app.families.webhooks.stripe.reading import optional, required
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
    """Apply the event; late, repeated and unordered ones come to the same state as those in order.

    The result has a `note` where there is nothing to do: an event of another type, a customer that
    nobody knows yet, news that are none.

    Raises:
        PermanentError: The event lacks a field, which is named.
        RetryLater, StripeKeyRefused, StripeUnavailable: See `stripe.api`.
    """
    effect = EFFECTS.get(payload.event_type)
    if effect is None:
        return {"event": payload.event_type, "note": "events of this type have no effect here"}
    content = {"data": payload.event_data}
    event = Event(
        id=payload.event_id,
        type=payload.event_type,
        created=payload.created,
        thing=required(content, "data.object", dict),
        previous=optional(content, "data.previous_attributes", dict),
        ip_address=payload.ip_address,
    )
    return effect(event, Stripe(job))
