"""Stripe delivers late, twice and in any order: a life comes to the same end in all of them."""

import threading
from collections.abc import Sequence
from functools import reduce
from itertools import permutations
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.accounts.models import Organization, StripeSubscription
from app.accounts.subscription_facts import join, state_of
from app.db import db
from app.families.stripe.event import Event as StripeEvent
from tests.support.stripe import (
    CUSTOMER,
    NAMES,
    SUBSCRIPTION,
    Event,
    an_event,
    an_organization,
    handle,
    old,
    state,
)

CREATED = 1795100400
NEWER = "sub_1Newer"


def updated(number: int, created: int, previous: dict[str, Any], **changes: Any) -> Event:
    event = an_event("customer.subscription.updated", created=created, **changes)
    event["data"]["previous_attributes"] = previous
    return {**event, "id": f"evt_{number}"}


def begun(organization: Organization) -> Event:
    event = an_event("checkout.session.completed", client_reference_id=str(organization.id))
    return {**event, "id": "evt_checkout"}


def life(organization: Organization) -> list[Event]:
    """One event of each kind, of which two bear the same second and one has the old shape."""
    return [
        begun(organization),
        updated(1, CREATED, {"status": "incomplete"}, status="active"),
        old("invoice.payment_failed"),
        an_event("customer.subscription.deleted"),
    ]


def facts_of(event: Event) -> dict[str, Any]:
    data = event["data"]
    read = StripeEvent(
        id=event["id"],
        type=event["type"],
        created=event["created"],
        thing=data["object"],
        previous=data["previous_attributes"],
    )
    return read.subscription_facts()


def end_of(organization: Organization, events: Sequence[Event]) -> dict[str, Any]:
    """Handle the events and return the organization's state, undoing it all."""
    for event in events:
        handle(event)
    end = state(organization)
    db.session.rollback()
    return end


def test_a_life_in_every_order_comes_to_the_same_end(app: Flask) -> None:
    organization = an_organization(customer=None)
    events = life(organization)
    expected = end_of(organization, events)

    ends = [end_of(organization, order) for order in permutations(events)]

    assert expected["subscription_status"] == "canceled"
    assert expected["stripe_customer_id"] == CUSTOMER
    assert all(end == expected for end in ends)


def test_so_does_its_beginning_with_an_event_that_comes_twice(app: Flask) -> None:
    organization = an_organization(customer=None)
    events = life(organization)[:3]
    expected = end_of(organization, events)

    for order in permutations(events):
        assert end_of(organization, [*order, order[0]]) == expected


def test_facts_of_a_longer_life_join_in_every_order() -> None:
    told = [
        facts_of(updated(1, CREATED, {"status": "incomplete"}, status="active")),
        facts_of(updated(2, CREATED, {"status": "active"}, status="past_due")),
        facts_of(updated(3, CREATED + 9, {"status": "past_due"}, status="active")),
        {"checkout": {"at": CREATED, "event": "evt_4", "paid": True}},
        {"paymentFailed": {"at": CREATED + 9, "event": "evt_5"}},
        {"names": {"prod_TMjD5rLcVbN8xZ": {"at": 5, "event": "evt_6", "name": "Pro"}}},
    ]
    expected = reduce(join, told)

    assert state_of(expected).status == "active"
    assert state_of(expected).plan_name == "Pro"
    assert all(reduce(join, order) == expected for order in permutations(told))


def test_updates_of_one_second_are_ordered_by_what_they_replaced(app: Flask) -> None:
    organization = an_organization()
    events = [
        updated(3, CREATED, {"status": "incomplete"}, status="active"),
        updated(1, CREATED, {"status": "active"}, status="past_due"),
        updated(2, CREATED, {"cancel_at": None}, status="past_due", cancel_at=1800000000),
    ]

    for order in permutations(events):
        end = end_of(organization, order)
        assert end["subscription_status"] == "past_due"
        assert end["cancel_at"].timestamp() == 1800000000


def test_a_deletion_stands_above_an_update_of_its_second(app: Flask) -> None:
    organization = an_organization()
    deleted = an_event("customer.subscription.deleted")
    events = [deleted, updated(9, deleted["created"], {"status": "active"}, status="past_due")]

    for order in permutations(events):
        assert end_of(organization, order)["subscription_status"] == "canceled"


def test_a_late_update_changes_nothing(app: Flask) -> None:
    organization = an_organization()
    handle(an_event("customer.subscription.updated"))
    before = state(organization)

    late = handle(updated(1, CREATED, {}, status="active", cancel_at_period_end=True))

    assert late["note"] == "nothing new"
    assert state(organization) == before


def test_a_late_failure_of_a_payment_that_was_made_since_sends_no_email(app: Flask) -> None:
    organization = an_organization()
    handle(updated(1, 1797696999, {"status": "past_due"}, status="active"))

    result = handle(an_event("invoice.payment_failed"))

    assert state(organization)["subscription_status"] == "active"
    assert result["note"] == "the subscription is active by now: no email"


def test_a_checkout_that_comes_after_the_end_confirms_nothing(app: Flask) -> None:
    organization = an_organization()
    handle(an_event("customer.subscription.deleted"))

    result = handle(begun(organization))

    assert result["note"] == "the subscription has ended: no email"
    assert state(organization)["subscription_status"] == "canceled"


@pytest.mark.parametrize("name", NAMES)
def test_an_event_about_an_old_subscription_does_not_disturb_a_newer_one(
    app: Flask, name: str
) -> None:
    organization = an_organization()
    newer: dict[str, Any] = {"id": NEWER, "status": "active", "start_date": CREATED + 10**6}
    handle(updated(1, CREATED + 10**6, {}, **newer))
    before = state(organization)

    handle(an_event(name))

    assert state(organization) == before
    assert before["stripe_subscription_id"] == NEWER


def test_nor_one_that_the_organization_had_before_any_event(app: Flask) -> None:
    organization = an_organization(stripe_subscription_id="sub_own", subscription_status="active")
    before = state(organization)

    handle(an_event("customer.subscription.deleted"))

    assert state(organization) == before


def test_when_the_newer_one_ends_the_older_that_lives_is_shown(app: Flask) -> None:
    organization = an_organization()
    handle(an_event("customer.subscription.updated"))
    newer: dict[str, Any] = {"id": NEWER, "start_date": CREATED + 10**6}
    handle({**an_event("customer.subscription.deleted", **newer), "id": "evt_1"})

    assert state(organization)["stripe_subscription_id"] == SUBSCRIPTION


def test_a_customer_of_another_organization_is_not_taken_from_it(app: Flask) -> None:
    its, other = an_organization(), an_organization(customer=None)

    result = handle(begun(other))

    assert result["organizationId"] == its.id
    assert state(other)["stripe_customer_id"] is None


def test_facts_join_the_same_way_round_and_twice(app: Flask) -> None:
    handle(an_event("customer.subscription.updated"))
    handle(an_event("invoice.payment_failed"))
    facts = db.session.scalar(select(StripeSubscription.facts)) or {}
    other = {"paymentFailed": {"at": 1, "event": "evt_0"}, "names": {"p": {"at": 1, "event": "e"}}}

    assert join(facts, other) == join(other, facts) == join(join(other, facts), facts)
    assert state_of(facts).status == "past_due"


def test_concurrent_events_take_turns(app: Flask) -> None:
    """A thread for each of six orders; two subscriptions of two customers, one organization."""
    organization = an_organization(customer=None)
    again = {"id": NEWER, "customer": "cus_other", "start_date": CREATED + 10**6}
    events = [*life(organization), updated(7, CREATED + 10**6, {}, status="active", **again)]
    events += [{**begun(organization), "id": "evt_other"}]
    events[-1]["data"]["object"] |= {"subscription": NEWER, "customer": "cus_other"}
    failures: list[Exception] = []

    def work(order: Sequence[Event]) -> None:
        with app.app_context():
            try:
                for event in order:
                    handle(event)
                    db.session.commit()
            except Exception as error:  # noqa: BLE001 - the test reports it
                failures.append(error)
            finally:
                db.session.remove()

    rotations = [events[i:] + events[:i] for i in range(len(events))]
    threads = [threading.Thread(target=work, args=(order,)) for order in rotations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert state(organization)["stripe_subscription_id"] == NEWER
    assert state(organization)["subscription_status"] == "active"
    assert state(organization)["stripe_customer_id"] == "cus_other"
