"""Fields of Stripe's events that cannot be meant: refused by name, or unknown with the reason."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.db import db
from app.families.stripe import samples
from app.jobs import JobExecution
from app.jobs.testing import deliver
from tests.support.stripe import an_organization, handle, state
from tests.support.webhooks import Post, signed, stored

Event = dict[str, Any]
TIME, CODE, COUNT = "not a time between 1970 and 9000", "not a code of three", "not between 0 and"


def changed(event: Event, path: str, value: Any) -> Event:
    """Change what stands at a dotted path of the event's object."""
    *way, last = path.split(".")
    thing = event["data"]["object"]
    for name in way:
        thing = thing[int(name)] if isinstance(thing, list) else thing.setdefault(name, {})
    thing[last] = value
    return event


def error_of_its_job() -> str:
    """Deliver the job of the last event, which has to fail for good, and return why it did."""
    job_id = stored()[-1].job_id
    assert job_id is not None
    deliver(job_id)
    row = db.session.scalar(select(JobExecution).where(JobExecution.job_id == job_id))
    assert row is not None
    assert row.status == "failed"
    assert row.retry_count == 0
    return row.error or ""


ITEM, PRICE = "items.data.0", "items.data.0.price"
SUBSCRIPTION = [
    *((name, value, TIME) for name in ("start_date", "ended_at") for value in (10**12, -1)),
    ("cancel_at", 10**400, TIME),
    ("trial_end", 221_845_392_000, TIME),
    (f"{ITEM}.current_period_end", 253_402_300_800, TIME),
    *(("currency", value, CODE) for value in ("dollars", "us", "u$d", "", "us\n")),
    (f"{PRICE}.currency", "euros", CODE),
    (f"{ITEM}.quantity", -1, COUNT),
    (f"{ITEM}.quantity", 10**30, COUNT),
    (f"{PRICE}.unit_amount_decimal", "-4900", "below 0"),
    (f"{PRICE}.unit_amount_decimal", "1e40", "not a number"),
    (f"{PRICE}.transform_quantity.divide_by", -5, COUNT),
    ("discounts", [{"coupon": {"duration": "forever", "percent_off": 150}}], "above 100"),
    ("discounts", [{"coupon": {"duration": "forever", "percent_off": -50}}], "below 0"),
    ("status", "x" * 31, "is not a status"),
    ("id", "s" * 256, "over 255 characters"),
    ("customer", "c" * 256, "over 255 characters"),
    (f"{PRICE}.product", "p" * 256, "over 255 characters"),
]
OTHERS = [
    (samples.checkout_completed, "currency", "dollars", CODE),
    (samples.checkout_completed, "amount_total", 10**40, COUNT),
    (samples.checkout_completed, "amount_total", -1, COUNT),
    (samples.payment_failed, "currency", "dollars", CODE),
    (samples.payment_failed, "amount_remaining", 10**16, COUNT),
]


@pytest.mark.parametrize(
    ("make", "path", "value", "said"),
    [*((samples.subscription_updated, *one) for one in SUBSCRIPTION), *OTHERS],
    ids=lambda value: getattr(value, "__name__", str(value)[:40]),
)
def test_fault_K9_what_cannot_be_meant_is_refused_by_its_field(
    post: Post, make: Any, path: str, value: Any, said: str
) -> None:
    organization = an_organization()
    scene = samples.Scene(customer=str(organization.stripe_customer_id))
    before = state(organization)

    assert post("stripe", changed(make(scene), path, value)).status_code == 200

    assert said in error_of_its_job()
    assert state(organization) == before


def test_fault_K9_a_sum_beyond_any_price_is_unknown_and_says_so(app: Flask) -> None:
    organization = an_organization()
    scene = samples.Scene(customer=str(organization.stripe_customer_id), amount=10**15)

    result = handle(samples.subscription_updated(scene))

    assert result["monthlyAmountUnknown"] == "an amount beyond any price"
    assert state(organization)["monthly_amount"] is None
    assert state(organization)["subscription_status"] == "active"


def test_fault_K9_a_currency_in_capitals_is_the_same_and_a_long_name_is_cut(app: Flask) -> None:
    organization = an_organization()
    scene = samples.Scene(customer=str(organization.stripe_customer_id), currency="USD")
    product = {"id": "prod_pro", "object": "product", "name": "P" * 300}

    handle(changed(samples.subscription_updated(scene), f"{PRICE}.product", product))

    assert state(organization)["currency"] == "usd"
    assert state(organization)["plan_name"] == "P" * 200


@pytest.mark.parametrize(
    ("quantity", "said_of_it"),
    [
        ("9" * 5000, "JSON"),
        ("1e999", "data.object.items.data.0.quantity: must be a finite number."),
        ("NaN", "JSON"),
    ],
    ids=["endless", "infinite", "none"],
)
def test_fault_K9_numbers_that_no_reader_takes_are_refused_at_the_door(
    post: Post, app: Flask, quantity: str, said_of_it: str
) -> None:
    organization = an_organization()
    scene = samples.Scene(customer=str(organization.stripe_customer_id))
    said = json.dumps(changed(samples.subscription_updated(scene), f"{ITEM}.quantity", "Q"))
    body = said.replace('"Q"', quantity).encode()

    answer = post("stripe", body=body, headers=signed(app, "stripe", body))

    assert answer.status_code == 400
    assert said_of_it in (answer.json or {})["detail"]
    assert stored() == []
    assert state(organization)["subscription_status"] is None
