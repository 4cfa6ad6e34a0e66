"""What Stripe's events do: each of them, in the shapes of the present API and of an older one."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.accounts.models import ActivityLog, Organization, StripeSubscription
from app.db import db
from app.families.stripe.process_stripe_webhook import StripeWebhookSchema, process_stripe_webhook
from app.jobs import InvalidPayload, JobExecution, PermanentError, Status, enqueue
from app.jobs.testing import assert_enqueued, deliver, refute_enqueued
from tests.support.stripe import (
    CUSTOMER,
    IP,
    NAMES,
    SUBSCRIPTION,
    an_event,
    an_organization,
    handle,
    old,
    payload_of,
    state,
)


@pytest.fixture
def organization(app: Flask) -> Organization:
    return an_organization()


def activities() -> list[ActivityLog]:
    return list(db.session.scalars(select(ActivityLog).order_by(ActivityLog.id)))


def test_a_checkout_starts_the_subscription_of_the_organization_that_it_names(app: Flask) -> None:
    organization = an_organization(customer=None)

    handle(an_event("checkout.session.completed", client_reference_id=str(organization.id)))

    assert state(organization)["stripe_customer_id"] == CUSTOMER
    assert state(organization)["stripe_subscription_id"] == SUBSCRIPTION
    assert state(organization)["subscription_status"] == "active"
    assert state(organization)["plan_name"] == "pro"


def test_metadata_names_an_organization_before_the_client_reference_does(app: Flask) -> None:
    organization = an_organization(customer=None)
    metadata = {"organizationId": str(organization.id)}

    handle(an_event("checkout.session.completed", client_reference_id="1", metadata=metadata))

    assert state(organization)["stripe_customer_id"] == CUSTOMER


def test_a_checkout_enqueues_its_email(organization: Organization) -> None:
    result = handle(an_event("checkout.session.completed"))
    db.session.commit()

    job = assert_enqueued(
        "send-email",
        {
            "to": "ann@example.com",
            "template": "subscriptionCreated",
            "data": {
                "recipientName": "Ann Example",
                "planName": "pro",
                "amount": "$49.00",
                "dashboardUrl": "https://app.example.com/dashboard",
            },
        },
    )
    assert job.job_id == result["emailJobId"]
    assert job.organization_id == organization.id


def test_a_failed_payment_makes_the_subscription_past_due_and_asks_for_another(
    organization: Organization,
) -> None:
    handle(an_event("invoice.payment_failed", currency="jpy", amount_remaining=4900))
    db.session.commit()

    assert state(organization)["subscription_status"] == "past_due"
    page = an_event("invoice.payment_failed")["data"]["object"]["hosted_invoice_url"]
    told = {"amountDue": "¥4,900", "paymentDetailsUrl": page}
    assert_enqueued("send-email", {"template": "paymentFailed", "data": told})


def test_an_update_brings_plan_status_and_period(organization: Organization) -> None:
    handle(an_event("customer.subscription.updated"))

    now = state(organization)
    assert now["subscription_status"] == "past_due"
    assert now["stripe_product_id"] == "prod_TMjD5rLcVbN8xZ"
    assert (now["monthly_amount"], now["currency"]) == (4900, "usd")
    assert now["current_period_end"] == datetime.fromtimestamp(1800370800, UTC)
    assert now["cancel_at"] is None


def test_a_cancellation_at_the_period_s_end_is_known_before_it_comes(
    organization: Organization,
) -> None:
    handle(an_event("customer.subscription.updated", cancel_at_period_end=True))

    assert state(organization)["cancel_at"] == datetime.fromtimestamp(1800370800, UTC)


def test_a_deletion_cancels(organization: Organization) -> None:
    handle(an_event("customer.subscription.deleted"))

    assert state(organization)["subscription_status"] == "canceled"
    assert state(organization)["unsubscribed_at"] == datetime.fromtimestamp(1798902000, UTC)


@pytest.mark.parametrize("name", NAMES)
def test_the_old_shape_of_an_event_comes_to_the_same_state(app: Flask, name: str) -> None:
    organization = an_organization()
    handle(an_event(name))
    current = state(organization)
    db.session.rollback()

    handle(old(name))

    assert state(organization) == current
    assert current["stripe_subscription_id"] == SUBSCRIPTION


@pytest.mark.parametrize(
    ("name", "expanded"),
    [
        ("customer.subscription.updated", {"customer": {"id": CUSTOMER, "object": "customer"}}),
        ("invoice.payment_failed", {"customer": {"id": CUSTOMER}}),
        ("checkout.session.completed", {"subscription": {"id": SUBSCRIPTION}}),
    ],
)
def test_an_expanded_object_is_read_like_its_id(
    organization: Organization, name: str, expanded: dict[str, Any]
) -> None:
    handle(an_event(name, **expanded))

    assert state(organization)["stripe_subscription_id"] == SUBSCRIPTION


def test_each_effect_is_in_the_activity_log_with_its_ip_address(
    organization: Organization,
) -> None:
    for name in NAMES:
        handle(an_event(name))

    logged = activities()
    assert [row.action for row in logged] == [
        "subscription.created",
        "subscription.payment_failed",
        "subscription.updated",
        "subscription.canceled",
    ]
    assert {str(row.ip_address) for row in logged} == {IP}
    assert logged[3].details["changes"]["subscription_status"] == ["past_due", "canceled"]


def test_an_event_that_comes_again_has_no_second_effect(organization: Organization) -> None:
    event = an_event("customer.subscription.updated")
    handle(event)

    assert handle(event)["note"] == "nothing new"
    assert len(activities()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_customer_is_no_failure(app: Flask, name: str) -> None:
    result = handle(an_event(name))

    assert result["note"].startswith(f"no organization is known for customer {CUSTOMER}")
    assert db.session.scalar(select(func.count()).select_from(StripeSubscription)) == 1
    assert activities() == []


def test_an_unknown_type_is_no_failure(app: Flask) -> None:
    event = {**an_event("invoice.payment_failed"), "type": "charge.refunded"}

    assert handle(event)["note"] == "events of this type have no effect here"


@pytest.mark.parametrize(
    ("name", "changes", "note"),
    [
        ("checkout.session.completed", {"mode": "payment"}, "mode 'payment'"),
        ("invoice.payment_failed", {"parent": None}, "for no subscription"),
    ],
)
def test_what_is_about_no_subscription_is_let_be(
    organization: Organization, name: str, changes: dict[str, Any], note: str
) -> None:
    assert note in handle(an_event(name, **changes))["note"]


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("checkout.session.completed", {"customer": None}, "checkout.session.customer"),
        ("checkout.session.completed", {"subscription": None}, "checkout.session.subscription"),
        ("checkout.session.completed", {"mode": None}, "checkout.session.mode"),
        ("checkout.session.completed", {"amount_total": None}, "checkout.session.amount_total"),
        ("invoice.payment_failed", {"customer": None}, "invoice.customer"),
        ("invoice.payment_failed", {"currency": None}, "invoice.currency"),
        ("invoice.payment_failed", {"id": 5}, "invoice.id is not text"),
        ("customer.subscription.updated", {"id": None}, "subscription.id"),
        ("customer.subscription.updated", {"status": None}, "subscription.status"),
        ("customer.subscription.updated", {"items": {"data": [5]}}, "subscription.items.data"),
        ("customer.subscription.deleted", {"items": None}, "subscription.items.data"),
        ("customer.subscription.deleted", {"ended_at": "now"}, "ended_at is not an integer"),
    ],
)
def test_a_missing_or_wrong_field_is_named(
    organization: Organization, name: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(PermanentError, match=said):
        handle(an_event(name, **changes))


def test_an_event_without_its_object_is_told_so(app: Flask) -> None:
    with pytest.raises(PermanentError, match=r"the event has no data\.object"):
        handle({**an_event("invoice.payment_failed"), "data": {}})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", ""),
        ("created", -1),
        ("created", "5"),
        ("ip_address", "::zz"),
        ("event_data", 5),
    ],
)
def test_a_payload_that_is_none_is_refused_at_enqueue(app: Flask, field: str, value: Any) -> None:
    payload = StripeWebhookSchema().dump(payload_of(an_event("invoice.payment_failed")))

    with pytest.raises(InvalidPayload):
        enqueue("process-stripe-webhook", {**payload, field: value})


def test_an_email_that_cannot_be_sent_does_not_keep_the_facts_back(
    organization: Organization,
) -> None:
    result = handle(an_event("invoice.payment_failed", customer_email="no address"))

    assert result["note"].startswith("no email: Invalid job payload")
    assert state(organization)["subscription_status"] == "past_due"


def test_effects_and_email_commit_with_the_job(organization: Organization) -> None:
    job_id = process_stripe_webhook.enqueue(payload_of(an_event("checkout.session.completed")))

    assert deliver(job_id).status_code == 200

    assert state(organization)["subscription_status"] == "active"
    assert_enqueued("send-email")


def test_a_job_that_fails_leaves_neither_effects_nor_email(organization: Organization) -> None:
    event = an_event("checkout.session.completed")
    handle(event)
    db.session.rollback()

    job_id = process_stripe_webhook.enqueue(
        payload_of(an_event("checkout.session.completed", amount_total="much"))
    )
    assert deliver(job_id).status_code == 489

    assert db.session.scalar(select(JobExecution.status).where(JobExecution.job_id == job_id)) == (
        Status.FAILED
    )
    refute_enqueued("send-email")
    assert activities() == []
    assert state(organization)["subscription_status"] is None
