"""The exact cost of a price per month; `Unknown` if an event lacks a part of it."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil, floor
from typing import Any

from app.families.stripe.reading import optional, optional_count, optional_currency
from app.jobs import PermanentError

# Intervals per month, in a year of 365 days.
_PER_MONTH = {
    "day": Fraction(365, 12),
    "week": Fraction(365, 84),
    "month": Fraction(1),
    "year": Fraction(1, 12),
}
_AMOUNTS = ("unit_amount_decimal", "unit_amount", "amount_decimal", "amount")

Thing = Mapping[str, Any]


class Unknown(Exception):
    """The amount cannot be known from the event."""


def price_of(item: Thing) -> Thing:
    """Return an item's price, in old versions of the API its plan."""
    return optional(item, "price", dict) or optional(item, "plan", dict) or {}


def is_metered(item: Thing) -> bool:
    price = price_of(item)
    return (optional(price, "recurring", dict) or price).get("usage_type") == "metered"


def times_a_month(item: Thing) -> Fraction:
    """Return how often an item is billed per month."""
    price = price_of(item)
    recurring = optional(price, "recurring", dict) or price
    interval = _PER_MONTH.get(optional(recurring, "interval", str) or "")
    count = optional_count(recurring, "interval_count")
    count = 1 if count is None else count
    if interval is None or count < 1:
        raise Unknown("a price without an interval")
    return interval / count


def due(item: Thing, currency: str | None) -> Fraction:
    """Return what an item costs per billing, in the subscription's currency."""
    price = price_of(item)
    terms = _terms(price, currency)
    quantity = optional_count(item, "quantity")
    units = 1 if quantity is None else quantity
    if price.get("billing_scheme") == "tiered" or price.get("tiers_mode"):
        return _tiered(terms, optional(price, "tiers_mode", str), units)
    unit = first_number(terms, _AMOUNTS)
    if unit is None:
        raise Unknown("a price without a fixed amount")
    return unit * _packages(price, units)


def first_number(thing: Thing, names: tuple[str, ...]) -> Fraction | None:
    """Return the first of these that exists, as an exact number."""
    name = next((name for name in names if thing.get(name) is not None), None)
    return None if name is None else number(thing[name], name)


def number(value: Any, name: str) -> Fraction:
    """Return a number that Stripe wrote as a number or as text.

    Raises:
        PermanentError: Not a number, below 0, or absurdly long.
    """
    try:
        found = Decimal(str(value))
    except (InvalidOperation, ValueError):  # Python refuses to write numbers of over 4300 digits
        found = Decimal("NaN")
    if isinstance(value, bool) or not found.is_finite() or abs(found.adjusted()) > 30:  # noqa: PLR2004 - far beyond any price
        raise PermanentError(f"the event's {name} is not a number")
    if found < 0:
        raise PermanentError(f"the event's {name} is below 0")
    return Fraction(found)


def _terms(price: Thing, currency: str | None) -> Thing:
    """Return the price in the subscription's currency: its own, or one of its options."""
    own = optional_currency(price, "currency")
    if not own or own == currency:
        return price
    option = (optional(price, "currency_options", dict) or {}).get(currency)
    if not isinstance(option, Mapping):
        raise Unknown(f"a price in {own} that is billed in {currency}")
    return option


def _packages(price: Thing, units: int) -> int:
    """Return how often the unit amount is due; a price may cover several units."""
    transform = optional(price, "transform_quantity", dict) or {}
    transform = transform or optional(price, "transform_usage", dict) or {}
    size = optional_count(transform, "divide_by")
    if not size:
        return units
    packages = Fraction(units, size)
    return ceil(packages) if transform.get("round") == "up" else floor(packages)


def _tiered(terms: Thing, mode: str | None, units: int) -> Fraction:
    tiers = optional(terms, "tiers", list)
    if not tiers or mode not in {"graduated", "volume"} or units < 1:
        raise Unknown("a price whose tiers the event lacks")
    total, reached = Fraction(0), 0
    for tier in tiers:
        if not isinstance(tier, Mapping):
            raise Unknown("a price whose tiers the event lacks")
        limit = optional_count(tier, "up_to")
        top = units if limit is None else min(units, limit)
        if top < reached:
            raise Unknown("tiers that are not in order")
        unit = first_number(tier, ("unit_amount_decimal", "unit_amount")) or Fraction(0)
        flat = first_number(tier, ("flat_amount_decimal", "flat_amount")) or Fraction(0)
        if mode == "volume" and top == units:
            return units * unit + flat
        total, reached = total + (top - reached) * unit + flat, top
        if top == units:
            return total
    raise Unknown("a quantity beyond the last tier")
