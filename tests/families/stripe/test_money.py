"""Amounts: what a subscription costs in a month, and how it is written in an email."""

from typing import Any

import pytest

from app.accounts.currencies import written
from app.families.stripe import money
from app.jobs import PermanentError


def monthly_amount(items: list[Any], **about: Any) -> int | None:
    return money.monthly_amount({"items": {"data": items}, **about})


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


def priced(amount: int | None = 4900, **about: Any) -> dict[str, Any]:
    """Return an item of a price in dollars, a month."""
    recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
    price = {"currency": "usd", "product": "prod_a", "unit_amount": amount, "recurring": recurring}
    quantity = about.pop("quantity", 1)
    discounts = about.pop("discounts", [])
    recurring |= about.pop("recurring", {})
    return {"price": {**price, **about}, "quantity": quantity, "discounts": discounts}


def off(duration: str = "forever", **coupon: Any) -> dict[str, Any]:
    return {"id": "di_1", "source": {"coupon": {"id": "C", "duration": duration, **coupon}}}


def tiers(mode: str, **about: Any) -> dict[str, Any]:
    steps = [
        {"up_to": 5, "unit_amount": 1000, "flat_amount": 500},
        {"up_to": None, "unit_amount_decimal": "800", "flat_amount": None},
    ]
    return priced(None, billing_scheme="tiered", tiers_mode=mode, tiers=steps, **about)


YEAR, QUARTER = {"interval": "year"}, {"interval_count": 3}
METERED = {"usage_type": "metered"}
EUR_TOO: dict[str, Any] = {"currency_options": {"eur": {"unit_amount": 4500}}}
#: Subscriptions with what recurs in a month, by the definition in docs/stripe.md.
SUBSCRIPTIONS: list[tuple[str, list[Any], dict[str, Any], int | None]] = [
    ("monthly", [priced()], {}, 4900),
    ("seats", [priced(quantity=12)], {}, 58800),
    ("no seats", [priced(quantity=0)], {}, 0),
    ("yearly", [priced(12000, recurring=YEAR)], {}, 1000),
    ("yearly, rounded", [priced(10000, recurring=YEAR)], {}, 833),
    ("quarterly", [priced(9000, recurring=QUARTER)], {}, 3000),
    ("weekly", [priced(700, recurring={"interval": "week"})], {}, 3042),
    ("daily", [priced(100, recurring={"interval": "day"})], {}, 3042),
    ("two items", [priced(), priced(1000)], {}, 5900),
    ("monthly and yearly", [priced(), priced(12000, recurring=YEAR)], {}, 5900),
    ("yen", [priced(4900, currency="jpy")], {"currency": "jpy"}, 4900),
    ("parts of a cent", [priced(unit_amount_decimal="0.5", quantity=3)], {}, 2),
    ("usage alone", [priced(recurring=METERED)], {}, None),
    ("usage beside a fixed price", [priced(recurring=METERED), priced(900)], {}, 900),
    ("tiers not told", [priced(None, billing_scheme="tiered", tiers_mode="volume")], {}, None),
    ("graduated tiers", [tiers("graduated", quantity=7)], {}, 7100),
    ("volume tiers", [tiers("volume", quantity=7)], {}, 5600),
    ("one unknown of two", [priced(None), priced()], {}, None),
    ("more than ten items", [priced()] * 10, {"has_more": True}, None),
    ("billed in another currency", [priced()], {"currency": "eur"}, None),
    ("an option of that currency", [priced(**EUR_TOO)], {"currency": "eur"}, 4500),
    ("several currencies", [priced(), priced(currency="eur")], {}, None),
    ("free for ever", [priced()], {"discounts": [off(percent_off=100)]}, 0),
    ("20 % off for ever", [priced()], {"discounts": [off(percent_off=20.0)]}, 3920),
    ("20 % off for a year", [priced()], {"discounts": [off("repeating", percent_off=20)]}, 4900),
    ("20 % off once", [priced()], {"discounts": [off("once", percent_off=20)]}, 4900),
    (
        "12 dollars off a year",
        [priced(12000, recurring=YEAR)],
        {"discounts": [off(amount_off=1200, currency="usd")]},
        900,
    ),
    (
        "more off than it costs",
        [priced(500)],
        {"discounts": [off(amount_off=900, currency="usd")]},
        0,
    ),
    ("a discount by its id", [priced()], {"discounts": ["di_1"]}, None),
    (
        "off in another currency",
        [priced()],
        {"discounts": [off(amount_off=900, currency="eur")]},
        None,
    ),
    ("half off one item", [priced(discounts=[off(percent_off=50)]), priced(1000)], {}, 3450),
    (
        "half off, then 5 dollars",
        [priced()],
        {"discounts": [off(percent_off=50), off(amount_off=500, currency="usd")]},
        1950,
    ),
    (
        "off one of two products",
        [priced(), priced(1000, product="prod_b")],
        {"discounts": [off(percent_off=50, applies_to={"products": ["prod_b"]})]},
        5400,
    ),
    (
        "off nobody knows which product",
        [priced(), priced(1000, product="prod_b")],
        {"discounts": [off(percent_off=50)]},
        None,
    ),
    ("collection paused", [priced()], {"pause_collection": {"behavior": "void"}}, 0),
    ("ended in its trial", [priced()], {"ended_at": 50, "trial_end": 60}, 0),
    ("ended after its trial", [priced()], {"ended_at": 70, "trial_end": 60}, 4900),
]


@pytest.mark.parametrize(
    ("items", "about", "amount"),
    [one[1:] for one in SUBSCRIPTIONS],
    ids=[x[0] for x in SUBSCRIPTIONS],
)
def test_fault_K7_what_a_subscription_brings_in_a_month(
    items: list[Any], about: dict[str, Any], amount: int | None
) -> None:
    more = about.get("has_more", False)
    subscription = {**about, "items": {"data": items, "has_more": more}}

    assert money.monthly_amount(subscription) == amount


@pytest.mark.parametrize("value", ["many", "NaN", "1e999", True])
def test_fault_K7_a_price_that_is_no_number_is_named(value: Any) -> None:
    with pytest.raises(PermanentError, match="unit_amount is not a number"):
        monthly_amount([priced(value)])
