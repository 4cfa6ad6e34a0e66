"""Amounts: what recurs in a month, and how it is written."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from app.families.webhooks.stripe.reading import optional

# How many of each interval a month has, of a year of 365 days.
_PER_MONTH = {
    "day": Decimal(365) / 12,
    "week": Decimal(365) / 7 / 12,
    "month": Decimal(1),
    "year": Decimal(1) / 12,
}

Item = Mapping[str, Any]


def monthly_amount(items: Sequence[Item]) -> int | None:
    """Return what a subscription's items cost in a month, in the smallest unit.

    None where no item tells a price: metered and tiered ones are known only after the month.
    """
    told = [amount for item in items if (amount := _per_month(item)) is not None]
    return int(sum(told, Decimal()).quantize(Decimal(1), ROUND_HALF_UP)) if told else None


def _per_month(item: Item) -> Decimal | None:
    price = optional(item, "price", dict) or optional(item, "plan", dict) or {}
    recurring = optional(price, "recurring", dict) or price
    unit = price.get("unit_amount_decimal") or price.get("unit_amount")
    unit = unit if unit is not None else price.get("amount_decimal") or price.get("amount")
    interval = _PER_MONTH.get(recurring.get("interval", ""))
    if unit is None or interval is None or recurring.get("usage_type") == "metered":
        return None
    count = optional(recurring, "interval_count", int) or 1
    return Decimal(str(unit)) * _packages(item, price) * interval / count


def _packages(item: Item, price: Mapping[str, Any]) -> Decimal:
    """Return how often the unit amount is due; a price may be one per so many units."""
    quantity = optional(item, "quantity", int)
    units = Decimal(1 if quantity is None else quantity)
    transform = price.get("transform_quantity") or price.get("transform_usage") or {}
    if not transform.get("divide_by"):
        return units
    rounding = ROUND_CEILING if transform.get("round") == "up" else ROUND_FLOOR
    return (units / Decimal(transform["divide_by"])).to_integral_value(rounding)
