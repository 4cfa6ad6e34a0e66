"""Amounts: what a subscription costs in a month, and how it is written in an email."""

from typing import Any

import pytest

from app.accounts.currencies import written
from app.families.webhooks.stripe.money import monthly_amount


def item(amount: int, interval: str, count: int = 1, quantity: int | None = 1) -> dict[str, Any]:
    recurring = {"interval": interval, "interval_count": count, "usage_type": "licensed"}
    return {"price": {"unit_amount": amount, "recurring": recurring}, "quantity": quantity}


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (4900, "usd", "$49.00"),
        (123456789, "EUR", "€1,234,567.89"),
        (4900, "jpy", "¥4,900"),
        (4900, "kwd", "KWD\u00a04.900"),
        (5, "chf", "CHF\u00a00.05"),
        (-150, "gbp", "-£1.50"),
        (0, "usd", "$0.00"),
    ],
)
def test_an_amount_is_written_in_its_currency(amount: int, currency: str, text: str) -> None:
    assert written(amount, currency) == text


@pytest.mark.parametrize(
    ("items", "amount"),
    [
        ([item(4900, "month")], 4900),
        ([item(12000, "year", quantity=3)], 3000),
        ([item(9000, "month", 3)], 3000),
        ([item(700, "week")], 3042),
        ([item(100, "day")], 3042),
        ([item(1000, "month"), item(12000, "year")], 2000),
        ([item(1000, "month", quantity=0)], 0),
        ([item(1000, "month", quantity=None)], 1000),
        ([{"plan": {"amount": 500, "interval": "month"}, "quantity": 2}], 1000),
        ([{"price": {"unit_amount_decimal": "0.5", "recurring": {"interval": "month"}}}], 1),
        ([{"price": {"unit_amount": None, "recurring": {"interval": "month"}}}], None),
        ([], None),
    ],
)
def test_what_recurs_is_counted_by_the_month(items: list[Any], amount: int | None) -> None:
    assert monthly_amount(items) == amount


def test_metered_use_is_not_known_beforehand() -> None:
    metered = item(100, "month")
    metered["price"]["recurring"]["usage_type"] = "metered"

    assert monthly_amount([metered, item(900, "month")]) == 900


def test_a_price_may_be_one_for_so_many_units() -> None:
    packed = item(500, "month", quantity=25)
    packed["price"]["transform_quantity"] = {"divide_by": 10, "round": "up"}

    assert monthly_amount([packed]) == 1500
