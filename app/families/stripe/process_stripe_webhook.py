"""The job `process-stripe-webhook`: payload, schema, handler."""

import json
import re
import time
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from flask import current_app
from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Range

from app.families.stripe import bp
from app.families.stripe.api import Stripe
from app.families.stripe.effects import EFFECTS
from app.families.stripe.event import Event
from app.families.stripe.reading import optional, required
from app.jobs import Job, PayloadSchema, get_job_execution_by_job_id

TEST_KEYS, LIVE_KEYS = ("sk_test_", "rk_test_"), ("sk_live_", "rk_live_")
#: The last second that a date can have.
LATEST = 253_402_300_799


@dataclass(frozen=True, slots=True)
class StripeWebhook:
    """One Stripe event.

    Attributes:
        event_data: The event's `data`: `object`, and `previous_attributes` of an update. From other
            producers, the object itself.
        event_id: If a producer does not send it, a hash of the event stands for it.
        created: When it happened, in Unix seconds; events of one second come in any order. If a
            producer does not send it, when its job was recorded.
        api_version: The version in which the endpoint gets its events.
        ip_address: The address that delivered it.
        account: The connected account that the event belongs to, if not this account.
        livemode: False if it happened in Stripe's test mode.
    """

    event_type: str
    event_data: dict[str, Any]
    event_id: str | None = None
    created: int | None = None
    api_version: str | None = None
    ip_address: str | None = None
    account: str | None = None
    livemode: bool | None = None


class _Address(fields.String):
    """An IP address, or the first one in an X-Forwarded-For list, without its port."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs) or ""
        given = [part for part in map(_without_port, text.split(",")) if part]
        found = next((part for part in given if _is_ip(part)), None)
        if given and not found:
            raise ValidationError("Not an IP address.")
        return found


def _without_port(entry: str) -> str:
    text = entry.strip()
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d+)?", text)
    if bracketed:
        return bracketed[1].partition("%")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text.partition("%")[0]


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class StripeWebhookSchema(PayloadSchema[StripeWebhook]):
    model = StripeWebhook

    event_type = fields.String(required=True, validate=Length(1, 200))
    event_data = fields.Dict(keys=fields.String(), required=True)
    event_id = fields.String(allow_none=True, validate=Length(1, 255))
    created = fields.Integer(strict=True, allow_none=True, validate=Range(0, LATEST))
    api_version = fields.String(allow_none=True, validate=Length(max=100))
    ip_address = _Address(allow_none=True)
    account = fields.String(allow_none=True, validate=Length(max=255))
    livemode = fields.Boolean(allow_none=True)


@bp.job(
    "process-stripe-webhook",
    "/stripe-webhook",
    payload=StripeWebhookSchema,
    retries=5,
    timeout=60,
    description="Apply a Stripe event to its organization",
)
def process_stripe_webhook(payload: StripeWebhook, job: Job) -> dict[str, Any]:
    """Apply the event; late, repeated and unordered events lead to the same state as ordered ones.

    The result has a `note` if there is nothing to do: an event of another type, a customer who is
    not known yet, nothing new.

    Raises:
        PermanentError: The event lacks a field; the message names it.
        RetryLater, StripeKeyRefused, StripeUnavailable: See `stripe.api`.
    """
    effect = EFFECTS.get(payload.event_type)
    if effect is None:
        return {"event": payload.event_type, "note": "events of this type have no effect here"}
    event = _event(payload, job)
    if foreign := _whose_else(payload, event):
        return {"event": payload.event_type, "note": foreign}
    return effect(event, Stripe(job))


def _event(payload: StripeWebhook, job: Job) -> Event:
    content = {"data": _data(payload.event_data)}
    created = payload.created
    return Event(
        id=payload.event_id or _digest(payload),
        type=payload.event_type,
        created=_recorded_at(job) if created is None else created,
        thing=required(content, "data.object", dict),
        previous=optional(content, "data.previous_attributes", dict),
        ip_address=payload.ip_address,
    )


def _data(event_data: dict[str, Any]) -> dict[str, Any]:
    """Return the event's data, also if only its object was sent (whose `object` is a text)."""
    is_object = isinstance(event_data.get("object"), str)
    return {"object": event_data} if is_object else event_data


def _digest(payload: StripeWebhook) -> str:
    """Return a hash of the event, so that a repeat in another job is the same event."""
    said = json.dumps([payload.event_type, payload.event_data], sort_keys=True)
    return f"sha256:{sha256(said.encode()).hexdigest()}"


def _recorded_at(job: Job) -> int:
    row = get_job_execution_by_job_id(job.id)
    return int(row.created_at.timestamp() if row else time.time())


def _whose_else(payload: StripeWebhook, event: Event) -> str | None:
    """Return why an event is not ours: it belongs to another account, or to the other mode.

    A connected account's own checkouts may name any organization.
    """
    if payload.account:
        return (
            f"the event belongs to the connected account {payload.account}: it has no effect here"
        )
    live = payload.livemode
    live = optional(event.thing, "livemode", bool) if live is None else live
    if live is None or live == _is_live():
        return None
    its, ours = ("live", "test") if live else ("test", "live")
    return (
        f"the event is in Stripe's {its} mode and this app is in {ours} mode: it has no effect"
        " here; STRIPE_SECRET_KEY decides the mode, and without one APP_ENV"
    )


def _is_live() -> bool:
    key = str(current_app.config["STRIPE_SECRET_KEY"])
    if key.startswith(TEST_KEYS):
        return False
    return key.startswith(LIVE_KEYS) or current_app.config["APP_ENV"] == "production"
