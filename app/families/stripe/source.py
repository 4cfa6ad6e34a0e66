"""Stripe as a source of webhooks: how its events are signed, and the job that processes them."""

from http import HTTPStatus
from math import isfinite
from typing import Any

from flask import abort

from app.families.stripe.signature import StripeSignature
from app.families.webhooks import public, source
from app.families.webhooks.receive import receive
from app.jobs.kit import jsonb

# https://docs.stripe.com/api/events/object; `api_version` may be null.
_FIELDS = {"created": (int, "a whole number"), "data": (dict, "an object")}
_OPTIONAL = {"apiVersion": "api_version", "account": "account", "livemode": "livemode"}


def stripe_job(event: Any, ip_address: str | None) -> dict[str, Any]:
    """Return the payload of `process-stripe-webhook`; answer 400 if the event lacks a part."""
    if not isinstance(event, dict) or event.get("object") != "event":
        _refuse(
            "object: must be 'event'. Thin events (v2.core.event) are not supported: choose the "
            "payload style Snapshot for this endpoint in Stripe."
        )
    for name, (kind, said) in _FIELDS.items():
        if type(event.get(name)) is not kind:
            _refuse(f"{name}: {f'must be {said}' if name in event else 'missing'}.")
    if not isinstance(event["data"].get("object"), dict):
        _refuse("data.object: missing.")
    _refuse_endless(event["data"])
    payload = {
        "eventType": event["type"],
        # The inbox keeps the bytes; PostgreSQL's JSON holds neither NUL nor half an emoji.
        "eventData": jsonb.clean(event["data"]),
        "ipAddress": ip_address,
        "eventId": event["id"],
        "created": event["created"],
        **{name: jsonb.clean(event.get(key)) for name, key in _OPTIONAL.items()},
    }
    return {name: value for name, value in payload.items() if value is not None}


def _refuse_endless(data: dict[str, Any]) -> None:
    """Reject a number such as 1e999, which cannot be stored; dropping it would change the event."""
    found: list[tuple[str, Any]] = [("data", data)]
    while found:
        path, value = found.pop()
        if isinstance(value, float) and not isfinite(value):
            _refuse(f"{jsonb.bounded(path, 500)}: must be a finite number.")
        if isinstance(value, dict):
            found += [(f"{path}.{name}", inner) for name, inner in value.items()]
        if isinstance(value, list):
            found += [(f"{path}.{number}", inner) for number, inner in enumerate(value)]


def _refuse(why: str) -> None:
    abort(HTTPStatus.BAD_REQUEST, why)


#: https://docs.stripe.com/webhooks; posts to `/api/stripe/webhook`.
stripe = source(
    "stripe",
    StripeSignature(),
    setting="STRIPE_WEBHOOK_SECRET",
    event_field="type",
    id_field="id",
    job=("process-stripe-webhook", stripe_job),
)
public.add_url_rule(
    "/stripe/webhook", "stripe", receive, methods=["POST"], defaults={"source": stripe.name}
)
