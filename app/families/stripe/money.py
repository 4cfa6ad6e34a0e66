"""Revenue of a subscription per month; `docs/stripe.md`, "Recurring revenue", defines it.

    fixed prices ── less discounts that never end ── per month ── rounded once

Nothing is guessed: if an event lacks something, the amount is None.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import floor
from typing import Any

from app.families.stripe.discounts import Part, discounted
from app.families.stripe.prices import Unknown, due, is_metered, price_of, times_a_month
from app.families.stripe.reading import (
    LARGEST,
    optional,
    optional_count,
    optional_currency,
    optional_time,
    reference,
    required,
)

Thing = Mapping[str, Any]


def monthly_amount(subscription: Thing) -> int | None:
    """Return the recurring amount per month, in the currency's unit; None if it is unknown."""
    try:
        return _amount(subscription)
    except Unknown:
        return None


def why_unknown(subscription: Thing) -> str | None:
    """Return why the amount is unknown; None if it is known."""
    try:
        _amount(subscription)
    except Unknown as unknown:
        return str(unknown)
    return None


def _amount(subscription: Thing) -> int:
    if optional(subscription, "pause_collection", dict) or _ended_in_trial(subscription):
        return 0
    total = sum((part.amount for part in _parts(subscription)), Fraction(0))
    amount = floor(total + Fraction(1, 2))
    if amount >= LARGEST:
        raise Unknown("an amount beyond any price")
    return amount


def _parts(subscription: Thing) -> list[Part]:
    items = required(subscription, "items.data", list)
    count = optional_count(subscription, "items.total_count")
    if optional(subscription, "items.has_more", bool) or (count or 0) > len(items):
        raise Unknown("more items than the event has")
    fixed = [item for item in items if not is_metered(item) and not item.get("deleted")]
    if not fixed:
        raise Unknown("nothing but usage")
    currency = _currency(subscription, fixed)
    parts = [part for item in fixed for part in _part(item, currency)]
    return discounted(parts, subscription, currency)


def _part(item: Thing, currency: str | None) -> list[Part]:
    times = times_a_month(item)
    part = Part(reference(price_of(item), "product"), due(item, currency) * times, times)
    return discounted([part], item, currency)


def _currency(subscription: Thing, items: list[Thing]) -> str | None:
    told = optional_currency(subscription, "currency")
    found = {told} if told else {optional_currency(price_of(item), "currency") for item in items}
    if len(found) > 1:
        raise Unknown("prices in several currencies")
    return found.pop()


def _ended_in_trial(subscription: Thing) -> bool:
    """Return whether it ended before it brought any revenue."""
    ended, trial = (optional_time(subscription, name) for name in ("ended_at", "trial_end"))
    return ended is not None and trial is not None and ended <= trial
