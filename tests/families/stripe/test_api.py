"""What an event does not tell is asked of Stripe: by its SDK, of a server on this machine."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app.accounts.models import Membership, User
from app.db import db
from app.families.stripe.api import StripeKeyRefused, StripeUnavailable
from app.jobs import RetryLater
from app.jobs.testing import assert_enqueued
from tests.support.http_server import HttpServer, Received, Reply
from tests.support.stripe import (
    CUSTOMER,
    SUBSCRIPTION,
    an_event,
    an_organization,
    handle,
    state,
)

PRODUCT = "prod_TMjD5rLcVbN8xZ"
ASKED = f"/v1/subscriptions/{SUBSCRIPTION}"


class FakeStripe(HttpServer):
    """Objects by path; any other `reply` stands for all that goes wrong."""

    def __init__(self, objects: dict[str, Any]) -> None:
        super().__init__()
        self.objects = objects

    @property
    def asked(self) -> list[str]:
        return [path.partition("?")[0] for path in self.paths]

    def reply_to(self, received: Received) -> Reply:
        if self.reply.status == 200 and (
            found := self.objects.get(received.path.partition("?")[0])
        ):
            return Reply(body=json.dumps(found))
        error = {"error": {"message": "No such thing", "type": "invalid_request_error"}}
        status = 404 if self.reply.status == 200 else self.reply.status
        return Reply(status, json.dumps(error), self.reply.headers)


@pytest.fixture
def stripe(app: Flask) -> Iterator[FakeStripe]:
    objects = {
        f"/v1/products/{PRODUCT}": {"id": PRODUCT, "object": "product", "name": "Pro plan"},
        f"/v1/customers/{CUSTOMER}": {
            "id": CUSTOMER,
            "object": "customer",
            "email": "billing@example.com",
            "name": "Billing",
        },
        ASKED: an_event("customer.subscription.updated")["data"]["object"],
    }
    with FakeStripe(objects) as fake:
        app.config.update(STRIPE_API_URL=fake.url, STRIPE_SECRET_KEY="sk_test_1")
        yield fake


def test_a_product_s_name_is_asked_for_once(stripe: FakeStripe) -> None:
    organization = an_organization()

    handle(an_event("customer.subscription.updated"))
    handle(an_event("customer.subscription.deleted"))

    assert state(organization)["plan_name"] == "Pro plan"
    assert stripe.asked == [f"/v1/products/{PRODUCT}"]


def test_a_name_that_the_event_tells_is_not_asked_for(stripe: FakeStripe) -> None:
    organization = an_organization()
    event = an_event("customer.subscription.updated")
    price = event["data"]["object"]["items"]["data"][0]["price"]
    price["product"] = {"id": PRODUCT, "object": "product", "name": "Told"}

    handle(event)

    assert state(organization)["plan_name"] == "Told"
    assert state(organization)["stripe_product_id"] == PRODUCT
    assert stripe.asked == []


def test_a_checkout_asks_for_the_subscription_that_no_event_told_of(stripe: FakeStripe) -> None:
    organization = an_organization()
    stripe.objects[ASKED]["status"] = "trialing"

    handle(an_event("checkout.session.completed"))

    assert state(organization)["subscription_status"] == "trialing"
    assert state(organization)["plan_name"] == "Pro plan"


def test_a_missing_email_address_is_asked_for(stripe: FakeStripe) -> None:
    an_organization()

    handle(an_event("invoice.payment_failed", customer_email=None, customer_name=None))
    db.session.commit()

    data = {"recipientName": "Billing", "planName": "Pro plan"}
    assert_enqueued("send-email", {"to": "billing@example.com", "data": data})


def test_without_a_key_the_owner_is_written_to(app: Flask) -> None:
    organization = an_organization()
    owner = User(email="owner@example.com", name="Olga Owner")
    db.session.add(owner)
    db.session.flush()
    db.session.add(Membership(organization_id=organization.id, user_id=owner.id, role="owner"))

    handle(an_event("invoice.payment_failed", customer_email=None))
    db.session.commit()

    told = {"to": "owner@example.com", "data": {"recipientName": "Olga Owner"}}
    assert_enqueued("send-email", told)


def test_nothing_is_asked_about_an_unknown_customer(stripe: FakeStripe) -> None:
    handle(an_event("invoice.payment_failed", customer_email=None))

    assert stripe.asked == []


def test_what_stripe_does_not_have_is_done_without(stripe: FakeStripe) -> None:
    organization = an_organization()
    stripe.objects.clear()

    handle(an_event("customer.subscription.updated"))

    assert state(organization)["plan_name"] == "pro"


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, StripeKeyRefused, "Stripe rejects STRIPE_SECRET_KEY"),
        (403, StripeKeyRefused, "Stripe rejects STRIPE_SECRET_KEY"),
        (429, RetryLater, "Stripe answered 429"),
        (500, StripeUnavailable, "Stripe answered 500"),
        (400, StripeUnavailable, "Stripe answered 400"),
    ],
)
def test_a_failure_of_stripe_s_is_told_apart_and_changes_nothing(
    stripe: FakeStripe, status: int, error: type[Exception], said: str
) -> None:
    organization = an_organization()
    stripe.reply = Reply(status)

    with pytest.raises(error, match=said):
        handle(an_event("customer.subscription.updated"))
    assert state(organization)["subscription_status"] is None


def test_a_rate_limit_is_waited_for_as_long_as_stripe_says(stripe: FakeStripe) -> None:
    an_organization()
    stripe.reply = Reply(429, headers={"Retry-After": "17"})

    with pytest.raises(RetryLater) as raised:
        handle(an_event("customer.subscription.updated"))
    assert raised.value.delay == 17


def test_a_stripe_that_cannot_be_reached_is_tried_again(app: Flask) -> None:
    an_organization()
    app.config.update(STRIPE_API_URL="http://127.0.0.1:9", STRIPE_SECRET_KEY="sk_test_1")

    with pytest.raises(StripeUnavailable, match="could not be reached"):
        handle(an_event("customer.subscription.updated"))


ITEMS = "/v1/subscription_items"
COUPON = {"id": "half", "object": "coupon", "duration": "forever", "percent_off": 50}
DISCOUNT = {"id": "di_1", "object": "discount", "source": {"type": "coupon", "coupon": COUPON}}


def named_only(stripe: FakeStripe, **changes: Any) -> dict[str, Any]:
    """Return an event whose discount is an id, and have Stripe know its terms and all items."""
    event = an_event("customer.subscription.updated", discounts=["di_1"], **changes)
    data = event["data"]["object"]["items"]["data"]
    stripe.objects[ASKED]["discounts"] = [DISCOUNT]
    stripe.objects[ITEMS] = {"object": "list", "url": ITEMS, "data": list(data), "has_more": False}
    return event


def test_fault_K7_a_discount_that_the_event_only_names_is_asked_for(stripe: FakeStripe) -> None:
    organization = an_organization()
    handle(an_event("customer.subscription.updated", created=1))
    full = state(organization)["monthly_amount"]

    result = handle(named_only(stripe))

    assert full
    assert state(organization)["monthly_amount"] == full // 2
    assert "monthlyAmountUnknown" not in result
    assert {ASKED, ITEMS} <= set(stripe.asked)


def test_fault_K7_so_are_the_items_that_the_event_leaves_out(stripe: FakeStripe) -> None:
    organization = an_organization()
    event = named_only(stripe)
    items = event["data"]["object"]["items"]
    items["has_more"] = True
    other = {**items["data"][0], "id": "si_more"}
    stripe.objects[ITEMS]["data"].append(other)
    stripe.objects[ASKED]["discounts"] = event["data"]["object"]["discounts"] = []
    handle(an_event("customer.subscription.updated", created=1))
    full = state(organization)["monthly_amount"]

    handle(event)

    assert state(organization)["monthly_amount"] == 2 * full


def test_fault_K7_what_changed_at_stripe_since_stays_unknown(stripe: FakeStripe) -> None:
    organization = an_organization()
    event = named_only(stripe)
    stripe.objects[ASKED]["discounts"] = []

    result = handle(event)

    assert result["monthlyAmountUnknown"] == "a discount known only by its id"
    assert state(organization)["monthly_amount"] is None


def test_fault_K7_a_repeat_that_cannot_ask_leaves_the_amount_known(
    stripe: FakeStripe, app: Flask
) -> None:
    organization = an_organization()
    event = named_only(stripe)
    handle(event)
    known = state(organization)["monthly_amount"]
    app.config["STRIPE_SECRET_KEY"] = ""

    handle(event)

    assert known
    assert state(organization)["monthly_amount"] == known
