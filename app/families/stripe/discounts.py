"""Subtract discounts that never end: only they lower recurring revenue."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from app.families.stripe.prices import Unknown, number
from app.families.stripe.reading import optional, optional_currency
from app.jobs import PermanentError

Thing = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One item's revenue per month.

    Attributes:
        times: How often it is billed per month.
    """

    product: str | None
    amount: Fraction
    times: Fraction


def discounted(parts: list[Part], thing: Thing, currency: str | None) -> list[Part]:
    """Return the parts less the permanent discounts of an item or a subscription, in order."""
    for coupon in _lasting(thing):
        parts = _less(parts, coupon, currency)
    return parts


def _lasting(thing: Thing) -> list[Thing]:
    """Return the coupons that never end.

    Stripe's events mostly include only the ids of discounts.
    """
    old = optional(thing, "discount", dict)
    given = optional(thing, "discounts", list) or ([old] if old else [])
    if old and given == [old.get("id")]:
        given = [old]
    coupons = []
    for one in given:
        if not isinstance(one, Mapping):
            raise Unknown("a discount known only by its id")
        if one.get("deleted") or one.get("end") is not None:
            continue
        source = one.get("source")
        coupon = (source if isinstance(source, Mapping) else one).get("coupon")
        if not isinstance(coupon, Mapping) or "duration" not in coupon:
            raise Unknown("a discount known only by its id")
        if coupon["duration"] == "forever":
            coupons.append(coupon)
    return coupons


def _less(parts: list[Part], coupon: Thing, currency: str | None) -> list[Part]:
    chosen = [part for part in parts if _applies(coupon, part, parts)]
    before = sum((part.amount for part in chosen), Fraction(0))
    if not before:
        return parts
    if coupon.get("percent_off") is not None:
        left = 1 - _percent(coupon) / 100
    else:
        left = (before - _off(coupon, chosen, currency)) / before
    kept = max(Fraction(0), left)
    return [replace(one, amount=one.amount * kept) if one in chosen else one for one in parts]


def _percent(coupon: Thing) -> Fraction:
    percent = number(coupon["percent_off"], "coupon.percent_off")
    if percent > 100:  # noqa: PLR2004 - per cent
        raise PermanentError("the event's coupon.percent_off is above 100")
    return percent


def _applies(coupon: Thing, part: Part, parts: list[Part]) -> bool:
    """Return whether a coupon applies to a part; without a list, only a sole product is safe."""
    if "applies_to" not in coupon and len({one.product for one in parts}) > 1:
        raise Unknown("a coupon that does not say which products it applies to")
    products = optional(coupon, "applies_to.products", list)
    return products is None or part.product in products


def _off(coupon: Thing, chosen: list[Part], currency: str | None) -> Fraction:
    """Return an amount off each invoice, per month."""
    own = optional_currency(coupon, "currency")
    option = (optional(coupon, "currency_options", dict) or {}).get(currency)
    terms = coupon if own and own == currency else option
    times = {part.times for part in chosen}
    if not isinstance(terms, Mapping) or terms.get("amount_off") is None or len(times) != 1:
        raise Unknown("an amount off in another currency, or with items of several intervals")
    return number(terms["amount_off"], "coupon.amount_off") * times.pop()
