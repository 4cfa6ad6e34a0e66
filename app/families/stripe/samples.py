"""Made-up events in Stripe's format, for trying things out and for tests.

They have the fields that this application reads and those around them, in the API version that the
SDK is pinned to, or in the last one before 2025-03-31 (basil), which many endpoints still use.
"""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

CURRENT, OLD = "2026-10-28.endive", "2025-02-24.acacia"
MONTH = 30 * 86400

Thing = dict[str, Any]


def made_up(prefix: str) -> str:
    """Return an id in Stripe's format."""
    return f"{prefix}_{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The customer that the events are about.

    Attributes:
        organization: The id in our database that a checkout names.
        amount: Per month, in the currency's smallest unit.
        began: When the subscription started, in Unix seconds.
        version: The API version of the events.
    """

    customer: str = field(default_factory=lambda: made_up("cus"))
    subscription: str = field(default_factory=lambda: made_up("sub"))
    organization: int | None = None
    email: str = "ann@example.com"
    amount: int = 4900
    currency: str = "usd"
    began: int = field(default_factory=lambda: int(time.time()))
    version: str = CURRENT


def checkout_completed(scene: Scene) -> Thing:
    session = {
        "id": made_up("cs_test"),
        "object": "checkout.session",
        "amount_subtotal": scene.amount,
        "amount_total": scene.amount,
        "client_reference_id": str(scene.organization) if scene.organization else None,
        "created": scene.began,
        "currency": scene.currency,
        "customer": scene.customer,
        "customer_details": {"email": scene.email, "name": "Ann Example"},
        "livemode": False,
        "metadata": {"plan": "Pro"},
        "mode": "subscription",
        "payment_status": "paid",
        "status": "complete",
        "subscription": scene.subscription,
    }
    return _event(scene, "checkout.session.completed", session, at=scene.began)


def subscription_updated(
    scene: Scene, *, status: str = "active", previous: Thing | None = None, at: int = 0
) -> Thing:
    event = "customer.subscription.updated"
    thing = _subscription(scene, status=status)
    return _event(scene, event, thing, at=at or scene.began + 1, previous=previous or {})


def payment_failed(scene: Scene, *, at: int = 0) -> Thing:
    at = at or scene.began + MONTH
    invoice = {
        "id": made_up("in"),
        "object": "invoice",
        "amount_due": scene.amount,
        "amount_remaining": scene.amount,
        "attempt_count": 1,
        "billing_reason": "subscription_cycle",
        "created": at,
        "currency": scene.currency,
        "customer": scene.customer,
        "customer_email": scene.email,
        "customer_name": "Ann Example",
        "hosted_invoice_url": f"https://invoice.stripe.com/i/{made_up('test')}",
        "livemode": False,
        "metadata": {},
        "status": "open",
    }
    about = {"metadata": {}, "subscription": scene.subscription}
    if scene.version == OLD:
        moved = {"subscription": scene.subscription, "subscription_details": {"metadata": {}}}
    else:
        moved = {"parent": {"subscription_details": about, "type": "subscription_details"}}
    return _event(scene, "invoice.payment_failed", {**invoice, **moved}, at=at)


def subscription_deleted(scene: Scene, *, at: int = 0) -> Thing:
    at = at or scene.began + 2 * MONTH
    ended = {**_subscription(scene, status="canceled"), "canceled_at": at, "ended_at": at}
    return _event(scene, "customer.subscription.deleted", ended, at=at)


#: What `flask stripe trigger` knows.
EVENTS = {
    "checkout.session.completed": checkout_completed,
    "customer.subscription.updated": subscription_updated,
    "invoice.payment_failed": payment_failed,
    "customer.subscription.deleted": subscription_deleted,
}


#: Seconds from the start of a subscription to each event, and to its end: it must have started that
#: long ago for no event to be in the future.
AGES = {
    "checkout.session.completed": 0,
    "customer.subscription.updated": 1,
    "invoice.payment_failed": MONTH,
    "customer.subscription.deleted": 2 * MONTH,
}
LIFETIME = 2 * MONTH + 8 * 86400


def lifecycle(scene: Scene) -> list[Thing]:
    """Return a subscription's events: started, past due after a month, paid, past due, ended."""
    due, paid = scene.began + MONTH, scene.began + MONTH + 86400
    late = {"status": "past_due"}
    return [
        checkout_completed(scene),
        subscription_updated(scene, previous={"status": "incomplete"}),
        payment_failed(scene, at=due),
        subscription_updated(scene, status="past_due", previous={"status": "active"}, at=due + 1),
        subscription_updated(scene, previous=late, at=paid),
        payment_failed(scene, at=paid + MONTH),
        subscription_deleted(scene, at=paid + MONTH + 7 * 86400),
    ]


def _event(
    scene: Scene, event_type: str, thing: Thing, *, at: int, previous: Thing | None = None
) -> Thing:
    changed = {} if previous is None else {"previous_attributes": previous}
    return {
        "id": made_up("evt"),
        "object": "event",
        "api_version": scene.version,
        "created": at,
        "data": {"object": thing, **changed},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    }


def _subscription(scene: Scene, *, status: str) -> Thing:
    period = {
        "current_period_start": scene.began,
        "current_period_end": scene.began + MONTH,
    }
    item = {
        "id": made_up("si"),
        "object": "subscription_item",
        "price": _price(scene),
        "quantity": 1,
        "subscription": scene.subscription,
    }
    old = scene.version == OLD
    return {
        "id": scene.subscription,
        "object": "subscription",
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "created": scene.began,
        "currency": scene.currency,
        "customer": scene.customer,
        "ended_at": None,
        "items": {"object": "list", "data": [item if old else {**item, **period}]},
        "livemode": False,
        "metadata": {},
        "start_date": scene.began,
        "status": status,
        **(period if old else {}),
    }


def _price(scene: Scene) -> Thing:
    return {
        "id": "price_pro_monthly",
        "object": "price",
        "currency": scene.currency,
        "lookup_key": "pro_monthly",
        "metadata": {"plan": "Pro"},
        "nickname": None,
        "product": "prod_pro",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        "type": "recurring",
        "unit_amount": scene.amount,
        "unit_amount_decimal": str(scene.amount),
    }
