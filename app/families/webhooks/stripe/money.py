"""What a subscription brings in a month; `docs/stripe.md`, "Recurring revenue", defines it.

    fixed prices ── less discounts that never end ── by the month ── rounded once

What an event does not tell is not guessed: the amount is None then.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import floor
from typing import Any

from app.families.webhooks.stripe.discounts import Part, discounted
from app.families.webhooks.stripe.prices import Unknown, due, is_metered, price_of, times_a_month
from app.families.webhooks.stripe.reading import optional, reference, required

#: Beyond this an amount is a mistake, and no column or sum should have to hold it.
_LARGEST = 10**15

Thing = Mapping[str, Any]


def monthly_amount(subscription: Thing) -> int | None:
    """Return what recurs in a month, in the unit of the currency; None where it is not known."""
    if optional(subscription, "pause_collection", dict) or _ended_in_trial(subscription):
        return 0
    try:
        total = sum((part.amount for part in _parts(subscription)), Fraction(0))
    except Unknown:
        return None
    amount = floor(total + Fraction(1, 2))
    return amount if abs(amount) < _LARGEST else None


def _parts(subscription: Thing) -> list[Part]:
    items = required(subscription, "items.data", list)
    count = optional(subscription, "items.total_count", int)
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
    told = optional(subscription, "currency", str)
    found = {told} if told else {optional(price_of(item), "currency", str) for item in items}
    if len(found) > 1:
        raise Unknown("prices in several currencies")
    return (found.pop() or "").lower() or None


def _ended_in_trial(subscription: Thing) -> bool:
    """Tell whether it ended before it brought anything."""
    ended, trial = (optional(subscription, name, int) for name in ("ended_at", "trial_end"))
    return ended is not None and trial is not None and ended <= trial
