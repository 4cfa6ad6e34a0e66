"""Stripe's events for tests, and the handler run on them in the database."""

import json
from pathlib import Path
from typing import Any

from app.accounts.models import Organization
from app.db import db
from app.families.stripe.process_stripe_webhook import StripeWebhook, process_stripe_webhook
from app.jobs.testing import make_job

EVENTS = Path(__file__).parent.parent / "families/stripe/events"
NAMES = (
    "checkout.session.completed",
    "invoice.payment_failed",
    "customer.subscription.updated",
    "customer.subscription.deleted",
)
SUBSCRIPTION, CUSTOMER = "sub_1SWd4RKq7Zc9aYtB3nVhE6oP", "cus_TRk8mWq2vXnL4p"
IP = "3.18.12.63"

Event = dict[str, Any]


def an_event(name: str, *, version: str = "", created: int | None = None, **changes: Any) -> Event:
    """Return a stored event; `changes` are made to its object."""
    event: Event = json.loads((EVENTS / f"{name}{version}.json").read_text())
    event["data"]["object"].update(changes)
    if created is not None:
        event["created"] = created
    return event


def old(name: str, **changes: Any) -> Event:
    """Return the event as an endpoint of API version 2024-06-20 gets it."""
    return an_event(name, version=".2024-06-20", **changes)


def payload_of(event: Event) -> StripeWebhook:
    return StripeWebhook(
        event_type=event["type"],
        event_data=event["data"],
        event_id=event["id"],
        created=event["created"],
        api_version=event["api_version"],
        ip_address=IP,
    )


def handle(event: Event, *, seconds: float = 60) -> dict[str, Any]:
    """Run the handler in the session, as a delivery does, without its commit."""
    result = process_stripe_webhook(
        payload_of(event), make_job("process-stripe-webhook", seconds=seconds)
    )
    db.session.flush()
    assert result is not None
    return result


def an_organization(*, customer: str | None = CUSTOMER, **columns: Any) -> Organization:
    organization = Organization(name="Analytical Engines", stripe_customer_id=customer, **columns)
    db.session.add(organization)
    db.session.commit()
    return organization


def state(organization: Organization) -> dict[str, Any]:
    """Return all that a subscription decides, as the database has it."""
    db.session.flush()
    db.session.refresh(organization)
    hidden = {"_sa_instance_state", "updated_at", "created_at"}
    return {name: value for name, value in vars(organization).items() if name not in hidden}
