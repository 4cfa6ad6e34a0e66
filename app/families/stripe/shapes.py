"""The shapes of Stripe's objects, in the current API and in those before 2025-03-31 (basil).

An event comes in its endpoint's version. Fields that moved are looked up in the new place and in
the old one (https://docs.stripe.com/changelog/basil):

- an invoice's subscription: in `parent.subscription_details`, formerly in the invoice itself;
- a subscription's period: in its items, formerly in the subscription itself;
- an item's price: `price`, in still older versions `plan`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.families.stripe.money import monthly_amount, why_unknown
from app.families.stripe.reading import (
    optional,
    optional_currency,
    optional_time,
    reference,
    required,
    required_reference,
)
from app.jobs import PermanentError

Thing = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """The payer, as far as an event names one."""

    email: str | None
    name: str | None


def snapshot(subscription: Thing) -> dict[str, Any]:
    """Return a subscription's state, as `app.accounts.subscription_facts` keeps it.

    Raises:
        PermanentError: A field is missing, or is not as Stripe documents it; the message names it.
    """
    items = _items(subscription)
    period_end = _period_end(subscription, items)
    cancel_at = optional_time(subscription, "cancel_at")
    if cancel_at is None and optional(subscription, "cancel_at_period_end", bool):
        cancel_at = period_end
    price = _price(items[0]) if items else {}
    amount, unknown = monthly_amount(subscription), why_unknown(subscription)
    return {
        "status": _status(subscription),
        "started": optional_time(subscription, "start_date")
        or optional_time(subscription, "created"),
        "ended": optional_time(subscription, "ended_at"),
        "periodEnd": period_end,
        "cancelAt": cancel_at,
        "productId": reference(price, "product"),
        "label": _label(price),
        "monthlyAmount": amount,
        "amountUnknown": unknown,
        "currency": optional_currency(subscription, "currency")
        or optional_currency(price, "currency"),
    }


def replaced(subscription: Thing, previous: Thing | None) -> dict[str, Any]:
    """Return the values of the state that an update replaced, from `previous_attributes`."""
    if not previous:
        return {}
    try:
        before = snapshot({**subscription, **previous})
    except (
        PermanentError
    ):  # for instance a part of a list: it only helps to order updates of one second
        return {}
    now = snapshot(subscription)
    return {
        name: was for name, was in before.items() if was != now[name] and name != "amountUnknown"
    }


def product_name(subscription: Thing) -> str | None:
    """Return the product's name, if Stripe expanded it."""
    items = _items(subscription)
    return _name(_price(items[0]).get("product")) if items else None


def invoice_subscription(invoice: Thing) -> str | None:
    """Return the id of an invoice's subscription, None if it has none."""
    new = reference(invoice, "parent.subscription_details.subscription")
    return new or reference(invoice, "subscription")


def organization_id(thing: Thing) -> int | None:
    """Return the organization that a checkout or its metadata names: `organizationId`."""
    for path in ("metadata.organizationId", "client_reference_id"):
        if re.fullmatch(r"[1-9][0-9]{0,17}", optional(thing, path, str) or ""):
            return int(required(thing, path, str))
    return None


def checkout_person(session: Thing) -> Person:
    details = optional(session, "customer_details", dict) or {}
    email = optional(details, "email", str) or optional(session, "customer_email", str)
    return Person(email, optional(details, "name", str))


def invoice_person(invoice: Thing) -> Person:
    return Person(optional(invoice, "customer_email", str), optional(invoice, "customer_name", str))


def customer_id(thing: Thing) -> str:
    return required_reference(thing, "customer")


def _status(subscription: Thing) -> str:
    """Return Stripe's status of a subscription, even one unknown to us."""
    status = required(subscription, "status", str)
    if not re.fullmatch("[a-z_]{1,30}", status):
        raise PermanentError(f"the event's subscription.status is not a status: {status[:30]!r}")
    return status


def _items(subscription: Thing) -> list[Thing]:
    items = required(subscription, "items.data", list)
    if not all(isinstance(item, Mapping) for item in items):
        raise PermanentError(
            "the event's subscription.items.data has an item that is not an object"
        )
    return items


def _period_end(subscription: Thing, items: list[Thing]) -> int | None:
    """Return the next renewal; items of different intervals renew separately."""
    ends = [optional_time(item, "current_period_end") for item in items]
    told = [end for end in ends if end is not None]
    return min(told) if told else optional_time(subscription, "current_period_end")


def _price(item: Thing) -> Thing:
    return optional(item, "price", dict) or optional(item, "plan", dict) or {}


def _label(price: Thing) -> str | None:
    """Return a name for a plan whose product's name is unknown."""
    paths = ("nickname", "metadata.plan", "lookup_key")
    found = (optional(price, path, str) for path in paths)
    return _name(price.get("product")) or next((name for name in found if name), None)


def _name(product: Any) -> str | None:
    return optional(product, "name", str) if isinstance(product, Mapping) else None
