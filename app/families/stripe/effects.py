"""What each event does: record facts, update the organization, enqueue an email.

All in the handler's session, so it commits with the job's completion or not at all.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from app.accounts.activity import Activity, has_activity, record_activity
from app.accounts.subscription_facts import join, newest_snapshot
from app.accounts.subscriptions import Recorded, record_facts
from app.families.stripe import emails, shapes
from app.families.stripe.api import Stripe
from app.families.stripe.details import Missing
from app.families.stripe.event import Event
from app.families.stripe.reading import (
    optional,
    optional_currency,
    required,
    required_reference,
)

Result = dict[str, Any]
Write = Callable[[Event, Recorded, shapes.Person], emails.Written]


def subscription_changed(event: Event, stripe: Stripe) -> Result:
    """Copy a subscription's plan, status, period and end."""
    subscription_id = required_reference(event.thing, "id")
    return _apply(event, stripe, subscription_id, event.subscription_facts())


def checkout_completed(event: Event, stripe: Stripe) -> Result:
    """Link customer and organization, start the subscription and confirm it by email."""
    session = event.thing
    mode = required(session, "mode", str)
    if mode != "subscription":
        return {"event": event.type, "note": f"a checkout in mode {mode!r} starts no subscription"}
    paid = optional(session, "payment_status", str) != "unpaid"
    told = event.stamp(
        paid=paid,
        label=optional(session, "metadata.plan", str),
        currency=optional_currency(session, "currency"),
    )
    return _apply(
        event,
        stripe,
        required_reference(session, "subscription"),
        {"checkout": told, **event.organization_fact()},
        mail=(emails.subscription_created, shapes.checkout_person(session)),
    )


def payment_failed(event: Event, stripe: Stripe) -> Result:
    """Mark the subscription past due and ask for other payment details by email."""
    invoice = event.thing
    subscription_id = shapes.invoice_subscription(invoice)
    if subscription_id is None:
        return {"event": event.type, "note": "the invoice is for no subscription"}
    return _apply(
        event,
        stripe,
        subscription_id,
        {"paymentFailed": event.stamp(invoice=required(invoice, "id", str))},
        mail=(emails.payment_failed, shapes.invoice_person(invoice)),
    )


Effect = Callable[[Event, Stripe], Result]

EFFECTS: Mapping[str, Effect] = {
    "checkout.session.completed": checkout_completed,
    "customer.subscription.created": subscription_changed,
    "customer.subscription.updated": subscription_changed,
    "customer.subscription.deleted": subscription_changed,
    "invoice.payment_failed": payment_failed,
}
ACTIONS = {
    "checkout.session.completed": Activity.SUBSCRIPTION_CREATED,
    "customer.subscription.created": Activity.SUBSCRIPTION_UPDATED,
    "customer.subscription.updated": Activity.SUBSCRIPTION_UPDATED,
    "customer.subscription.deleted": Activity.SUBSCRIPTION_CANCELED,
    "invoice.payment_failed": Activity.PAYMENT_FAILED,
}


def _apply(
    event: Event,
    stripe: Stripe,
    subscription_id: str,
    told: Mapping[str, Any],
    *,
    mail: tuple[Write, shapes.Person] | None = None,
) -> Result:
    """Record the event's facts and their effect; requests to Stripe come before any lock."""
    missing = Missing(event, stripe, subscription_id)
    told = join(told, missing.facts(told))
    person = missing.person(mail[1], told) if mail else None
    recorded = record_facts(subscription_id, shapes.customer_id(event.thing), told)
    result: Result = {"event": event.type, "subscriptionId": subscription_id}
    if unknown := newest_snapshot(told).get("amountUnknown"):
        result["monthlyAmountUnknown"] = unknown
    if recorded.organization is None:
        note = f"no organization is known for customer {missing.customer_id}; its data is kept"
        return {**result, "note": note}
    written = mail[0](event, recorded, person) if mail and person else emails.Written()
    effect: Result = {"organizationId": recorded.organization.id, **written.as_json()}
    if recorded.former:
        effect["takenFrom"] = list(recorded.former)
    if not recorded.changes and not _is_news(event, effect):
        return {"note": "nothing new", **result, **effect}
    effect["changes"] = _as_json(recorded.changes)
    _log(event, {**result, **effect})
    return {**result, **effect}


def _is_news(event: Event, effect: Result) -> bool:
    """Return whether an event that changes no column is logged anyway: reports count failures."""
    matters = "emailJobId" in effect or ACTIONS[event.type] is Activity.PAYMENT_FAILED
    return matters and not has_activity(
        ACTIONS[event.type], effect["organizationId"], {"eventId": event.id}
    )


def _log(event: Event, effect: Result) -> None:
    record_activity(
        ACTIONS[event.type],
        organization_id=effect["organizationId"],
        details={"eventId": event.id, **effect},
        ip_address=event.ip_address,
    )


def _as_json(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, list[Any]]:
    return {
        column: [value.isoformat() if isinstance(value, datetime) else value for value in values]
        for column, values in changes.items()
    }
