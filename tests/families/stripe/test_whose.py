"""Whose an event is, from whom it may come, and which of them are the same."""

import json
import time
from itertools import permutations
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from app.accounts.models import Organization
from app.db import db
from app.families.stripe import samples
from app.jobs import JobExecution, enqueue
from app.jobs.testing import assert_enqueued, deliver
from tests.support.http_server import HttpServer
from tests.support.stripe import NAMES, an_event, an_organization, handle, state
from tests.support.webhooks import EVENTS, Post, signed, stored


def processed(post: Post, event: dict[str, Any]) -> dict[str, Any]:
    """Send an event as Stripe does, deliver its job and return the result."""
    assert post("stripe", event).status_code == 200
    row = stored()[-1]
    assert row.job_id is not None
    answer = deliver(row.job_id).json or {}
    result: dict[str, Any] = answer["result"]
    return result


def checkout(organization: Organization, **about: Any) -> dict[str, Any]:
    return {**samples.checkout_completed(samples.Scene(organization=organization.id)), **about}


def test_fault_K6_a_connected_accounts_event_changes_nothing(post: Post) -> None:
    organization = an_organization(customer=None)

    result = processed(post, checkout(organization, account="acct_other"))

    assert "connected account acct_other" in result["note"]
    assert state(organization)["subscription_status"] is None


@pytest.mark.parametrize(
    ("key", "env", "live", "counts"),
    [
        ("", "development", False, True),
        ("", "development", True, False),
        ("", "production", True, True),
        ("", "production", False, False),
        ("sk_live_x", "development", False, False),
        ("rk_live_x", "development", True, True),
        ("sk_test_x", "production", True, False),
    ],
)
def test_fault_K6_an_event_of_the_other_mode_changes_nothing(
    post: Post, app: Flask, key: str, env: str, *, live: bool, counts: bool
) -> None:
    organization = an_organization(customer=None)
    app.config.update(STRIPE_SECRET_KEY=key, APP_ENV=env, STRIPE_API_URL="http://127.0.0.1:9")
    event = {**EVENTS["stripe"], "type": "invoice.payment_failed", "livemode": live}
    event["data"] = {"object": {"object": "invoice", "metadata": {}}}

    result = processed(post, event)

    expected = "the invoice is for no subscription" if counts else "mode: it has no effect"
    assert expected in result["note"]
    assert state(organization)["subscription_status"] is None


def test_fault_K8_a_second_customer_does_not_unseat_the_first(app: Flask) -> None:
    """In every order of what comes after the first checkout."""
    organization = an_organization(customer=None)
    began = int(time.time()) - 10_000
    one = samples.Scene(organization=organization.id, began=began)
    two = samples.Scene(organization=organization.id, began=began + 100)
    new = samples.Scene(customer=one.customer, began=began + 200)
    created = samples.subscription_updated(new)
    created["type"] = "customer.subscription.created"
    events = [samples.checkout_completed(one), samples.checkout_completed(two), created]
    ends = []
    for order in permutations(events):
        for event in order:
            handle(event)
        ends.append(state(organization))
        db.session.rollback()

    assert ends[0]["stripe_subscription_id"] == new.subscription
    assert all(end == ends[0] for end in ends)


def ends_of(events: list[dict[str, Any]], *organizations: Organization) -> list[Any]:
    """Return what the organizations come to, by the order in which the events are handled."""
    ends = []
    for order in permutations(events):
        for event in order:
            handle(event)
        ends.append([state(organization) for organization in organizations])
        db.session.rollback()
    return ends


@pytest.mark.parametrize("lag", [0, 100])
def test_fault_K8_a_customer_is_whose_it_was_first_in_every_order(app: Flask, lag: int) -> None:
    """Two organizations are named for one customer; of one second the event's id decides."""
    one, other = an_organization(customer=None), an_organization(customer="cus_own")
    began = int(time.time()) - 10_000
    first = samples.Scene(organization=one.id, began=began)
    second = samples.Scene(customer=first.customer, organization=other.id, began=began + lag)
    events = [
        {**samples.checkout_completed(first), "id": "evt_a"},
        {**samples.checkout_completed(second), "id": "evt_b"},
        samples.subscription_updated(first),
        samples.subscription_updated(second),
    ]

    ends = ends_of(events, one, other)

    assert [end["stripe_customer_id"] for end in ends[0]] == [first.customer, "cus_own"]
    assert [end["subscription_status"] for end in ends[0]] == ["active", None]
    assert all(end == ends[0] for end in ends)


def test_fault_K8_an_earlier_customer_without_subscriptions_stays_its_organizations(
    app: Flask,
) -> None:
    its, other = an_organization(customer="cus_early"), an_organization(customer=None)
    began = int(time.time()) - 10_000
    events = [
        samples.checkout_completed(samples.Scene(organization=its.id, began=began)),
        samples.checkout_completed(
            samples.Scene(customer="cus_early", organization=other.id, began=began + 50)
        ),
        samples.subscription_updated(samples.Scene(customer="cus_early", began=began + 100)),
    ]

    ends = ends_of(events, its, other)

    assert [end["stripe_customer_id"] for end in ends[0]] == ["cus_early", None]
    assert all(end == ends[0] for end in ends)


def test_fault_K8_a_subscription_that_the_app_wrote_tells_whose_its_customer_is(
    app: Flask,
) -> None:
    its = an_organization(customer=None, stripe_subscription_id="sub_own")
    other = an_organization(customer=None)
    began = int(time.time()) - 10_000
    scene = samples.Scene(organization=other.id, began=began)
    events = [
        samples.checkout_completed(scene),
        samples.subscription_updated(
            samples.Scene(customer=scene.customer, subscription="sub_own", began=began + 100)
        ),
    ]

    ends = ends_of(events, its, other)

    assert [end["stripe_customer_id"] for end in ends[0]] == [scene.customer, None]
    assert all(end == ends[0] for end in ends)


def test_fault_K8_an_earlier_event_that_comes_late_says_from_whom_it_takes(app: Flask) -> None:
    one, other = an_organization(customer=None), an_organization(customer=None)
    began = int(time.time()) - 10_000
    first = samples.Scene(organization=one.id, began=began)
    second = samples.Scene(customer=first.customer, organization=other.id, began=began + 100)
    handle(samples.checkout_completed(second))

    result = handle(samples.checkout_completed(first))

    assert result["organizationId"] == one.id
    assert result["takenFrom"] == [other.id]
    assert state(other)["subscription_status"] is None


@pytest.mark.parametrize("note", ["cut \ud83d", "nul \x00"])
def test_fault_K9_text_that_no_column_holds_is_processed_all_the_same(
    post: Post, note: str
) -> None:
    organization = an_organization()
    event = an_event("customer.subscription.deleted", metadata={"note": note, note: "x"})

    processed(post, event)

    assert state(organization)["subscription_status"] == "canceled"
    assert json.loads(stored()[0].body) == event


def test_fault_D15_R17_the_id_that_was_signed_is_the_id(post: Post, app: Flask) -> None:
    body = json.dumps(EVENTS["resend"]).encode()
    sent = {name.replace("webhook", "svix"): v for name, v in signed(app, "resend", body).items()}
    for other in ("forged-1", "forged-2"):
        unsigned = {"webhook-signature": None, "webhook-timestamp": None, "webhook-id": other}
        assert post("resend", headers={**unsigned, **sent}).status_code == 200

    assert [row.delivery_id for row in stored()] == ["delivery-1"]


@pytest.mark.parametrize(
    "forged",
    [{"X-GitHub-Delivery": "forged"}, {"X-GitHub-Delivery": "f", "X-GitHub-Event": "push"}],
)
def test_fault_D15_R17_github_replayed_under_another_name_does_nothing(
    post: Post, forged: dict[str, str | None]
) -> None:
    post("github")

    assert post("github", headers=forged).status_code == 200
    assert [(row.delivery_id, row.event) for row in stored()] == [("delivery-1", "pull_request")]


@pytest.mark.parametrize(
    "command",
    [["simulate", "subscription-lifecycle"], *(["trigger", name] for name in samples.EVENTS)],
)
def test_fault_A21_nothing_that_is_sent_lies_in_the_future(
    app: Flask, cli: FlaskCliRunner, command: list[str]
) -> None:
    with HttpServer() as server:
        app.config["BASE_URL"] = server.url
        cli.invoke(args=["stripe", *command, "--wait", "0"])

    sent = [json.loads(body) for body in server.bodies]
    assert sent
    now = time.time()
    assert all(event["created"] <= now for event in sent)
    assert all((event["data"]["object"].get("ended_at") or 0) <= now for event in sent)


@pytest.mark.parametrize("address", [None, "203.0.113.7", "unknown, 203.0.113.7:443, 10.0.0.1", ""])
@pytest.mark.parametrize("name", NAMES)
def test_the_originals_payload_has_the_same_effects(
    app: Flask, name: str, address: str | None
) -> None:
    organization = an_organization()
    event = an_event(name)
    handle(event)
    expected = state(organization)
    db.session.rollback()
    told = {"eventType": name, "eventData": event["data"]["object"], "ipAddress": address}

    assert deliver(enqueue("process-stripe-webhook", told)).status_code == 200

    now = state(organization)
    hidden = {"subscribed_at"}
    assert {k: v for k, v in now.items() if k not in hidden} == {
        k: v for k, v in expected.items() if k not in hidden
    }


def test_the_originals_payload_twice_sends_one_email(app: Flask) -> None:
    an_organization()
    event = an_event("invoice.payment_failed")
    told = {"eventType": event["type"], "eventData": event["data"]["object"]}

    for _ in range(2):
        deliver(enqueue("process-stripe-webhook", told))

    assert_enqueued("send-email")
    emails = select(JobExecution).where(JobExecution.job_type == "send-email")
    assert len(list(db.session.scalars(emails))) == 1


def test_an_event_that_comes_again_sends_no_email_that_says_something_else(app: Flask) -> None:
    organization = an_organization()
    event = an_event("invoice.payment_failed")
    first = handle(event)
    organization.name = "Renamed"
    event["data"]["object"]["customer_name"] = "Somebody else"

    assert handle(event)["emailJobId"] == first["emailJobId"]
