"""From a Stripe event to the job that processes it."""

from http import HTTPStatus
from typing import Any

from flask import abort

# https://docs.stripe.com/api/events/object; `api_version` may be null.
_FIELDS = {"created": (int, "a whole number"), "data": (dict, "an object")}


def stripe_job(event: Any, ip_address: str | None) -> dict[str, Any]:
    """Return the payload of `process-stripe-webhook`; answer 400 where the event lacks a part."""
    if not isinstance(event, dict) or event.get("object") != "event":
        _refuse(
            "object: must be 'event'. Thin events (v2.core.event) are not taken: choose the "
            "payload style Snapshot for this endpoint at Stripe."
        )
    for name, (kind, said) in _FIELDS.items():
        if type(event.get(name)) is not kind:
            _refuse(f"{name}: {f'must be {said}' if name in event else 'missing'}.")
    if not isinstance(event["data"].get("object"), dict):
        _refuse("data.object: missing.")
    return {
        "eventType": event["type"],
        "eventData": event["data"],
        "ipAddress": ip_address,
        "eventId": event["id"],
        "created": event["created"],
        "apiVersion": event.get("api_version"),
    }


def _refuse(why: str) -> None:
    abort(HTTPStatus.BAD_REQUEST, why)
