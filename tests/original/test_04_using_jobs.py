"""Using Jobs: enqueueing, and every job type with the guide's payload."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from app.artifacts import Artifact
from app.db import db
from app.families import webhooks
from app.families.email.senders import (
    send_password_reset_email_async,
    send_payment_failed_email_async,
    send_subscription_created_email_async,
    send_team_invitation_email_async,
    send_welcome_email_async,
)
from app.families.webhooks import Webhook
from app.families.webhooks.handlers import REGISTRATIONS
from app.jobs import JOB_TYPES, Job, enqueue, schedule
from app.jobs.publish import outbox
from tests.original.stack import Stack
from tests.support.rows import row_of

PAYLOAD = {"template": "welcome", "to": "user@example.com", "data": {"recipientName": "John Doe"}}


def test_enqueueing_basic(app: Flask, stack: Stack) -> None:
    job_id = enqueue(
        JOB_TYPES.SEND_EMAIL,
        {
            "template": "welcome",
            "to": "user@example.com",
            "data": {"recipientName": "John Doe"},
        },
    )

    assert stack.email(job_id)["to"] == "user@example.com"


def test_enqueueing_with_metadata(app: Flask, stack: Stack) -> None:
    job_id = enqueue(
        JOB_TYPES.SEND_EMAIL,
        PAYLOAD,
        user_id=123,
        organization_id=456,
        idempotency_key="unique-operation-id",
    )
    again = enqueue(
        JOB_TYPES.SEND_EMAIL, PAYLOAD, organization_id=456, idempotency_key="unique-operation-id"
    )

    row = stack.completed(job_id)
    assert (row.user_id, row.organization_id) == (123, 456)
    assert row.payload["metadata"]["idempotencyKey"] == "unique-operation-id"
    assert (again, again.existed) == (job_id, True)


def test_enqueueing_with_options(app: Flask, stack: Stack) -> None:
    """The guide's delay counts milliseconds, ours seconds: 60000 there is 60 here."""
    job_id = enqueue(
        JOB_TYPES.SEND_EMAIL,
        PAYLOAD,
        user_id=123,
        delay=60,
        retries=5,
        callback="https://example.com/callback",
        headers={"X-Custom": "value"},
    )

    row = stack.completed(job_id)
    asked = row.options
    assert (asked["delay"], asked["retries"], row.max_retries) == (60, 5, 5)
    assert asked["headers"]["X-Custom"] == "value"
    stack.await_that(lambda: "/callback" in stack.elsewhere.paths)
    told = json.loads(stack.elsewhere.bodies[stack.elsewhere.paths.index("/callback")])
    assert (told["status"], told["sourceMessageId"]) == (200, row.message_id)


def test_welcome_email(app: Flask, stack: Stack) -> None:
    job_id = send_welcome_email_async(to="user@example.com", recipient_name="John Doe", user_id=123)

    sent = stack.email(job_id)
    assert sent["subject"] == "Welcome to Acme, John Doe"
    assert f'href="{app.config["BASE_URL"]}"' in sent["html"]


def test_password_reset_email(app: Flask, stack: Stack) -> None:
    job_id = send_password_reset_email_async(
        to="user@example.com",
        recipient_name="John Doe",
        reset_url="https://example.com/reset/token",
        user_id=123,
    )

    assert "https://example.com/reset/token" in stack.email(job_id)["text"]


def test_team_invitation_email(app: Flask, stack: Stack) -> None:
    job_id = send_team_invitation_email_async(
        to="invited@example.com",
        recipient_name="Jane Doe",
        inviter_name="John Doe",
        organization_name="Acme Corp",
        invitation_url="https://example.com/invite/token",
        user_id=123,
        organization_id=456,
    )

    sent = stack.email(job_id)
    assert sent["subject"] == "John Doe invited you to Acme Corp"
    assert "Hello Jane Doe," in sent["text"]
    assert "https://example.com/invite/token" in sent["text"]


def test_subscription_created_email(app: Flask, stack: Stack) -> None:
    job_id = send_subscription_created_email_async(
        to="user@example.com",
        recipient_name="John Doe",
        plan_name="Pro Plan",
        amount="29.99",
        dashboard_url="https://example.com/app/general",
        user_id=123,
        organization_id=456,
    )

    text = stack.email(job_id)["text"]
    assert all(part in text for part in ("Pro Plan", "29.99", "https://example.com/app/general"))


def test_payment_failed_email(app: Flask, stack: Stack) -> None:
    job_id = send_payment_failed_email_async(
        to="user@example.com",
        recipient_name="John Doe",
        amount_due="29.99",
        payment_details_url="https://example.com/app/settings/billing",
        user_id=123,
        organization_id=456,
    )

    text = stack.email(job_id)["text"]
    assert "Amount due: 29.99" in text
    assert "https://example.com/app/settings/billing" in text
    assert "Plan" not in text


@pytest.mark.parametrize(
    ("template", "data"),
    [
        ("welcome", {}),
        ("passwordReset", {"resetUrl": "https://example.com/reset/token"}),
        ("passwordChanged", {"recipientName": "John Doe"}),
        ("emailChange", {"recipientName": "John Doe", "newEmail": "new@example.com"}),
        (
            "teamInvitation",
            {
                "inviterName": "John Doe",
                "organizationName": "Acme Corp",
                "invitationUrl": "https://example.com/invite/token",
            },
        ),
        ("subscriptionCreated", {"planName": "Pro Plan", "amount": "29.99"}),
        (
            "paymentFailed",
            {"amountDue": "29.99", "paymentDetailsUrl": "https://example.com/billing"},
        ),
    ],
)
def test_supported_email_templates(
    app: Flask, stack: Stack, template: str, data: dict[str, str]
) -> None:
    payload = {"template": template, "to": "user@example.com", "data": data}

    job_id = enqueue(JOB_TYPES.SEND_EMAIL, payload)

    assert (stack.completed(job_id).result or {})["template"] == template


@pytest.fixture
def seen() -> list[object]:
    """What a handler of GitHub's events was given; it is forgotten afterwards."""
    return []


@pytest.fixture
def on_github(seen: list[object]) -> Iterator[Callable[[str], None]]:
    kept = list(REGISTRATIONS)

    def on(event: str) -> None:
        @webhooks.on("github", event)
        def note(webhook: Webhook, job: Job) -> None:
            seen.append((webhook.source, webhook.event, webhook.data))

    yield on
    REGISTRATIONS[:] = kept


def test_webhook_jobs_generic(
    app: Flask, stack: Stack, seen: list[object], on_github: Callable[[str], None]
) -> None:
    on_github("pull_request")
    webhook_payload = {"action": "opened", "number": 7}

    job_id = enqueue(
        JOB_TYPES.PROCESS_WEBHOOK,
        {"source": "github", "event": "pull_request", "data": webhook_payload},
    )

    stack.completed(job_id)
    assert seen == [("github", "pull_request", webhook_payload)]


def test_webhook_jobs_stripe(app: Flask, stack: Stack) -> None:
    """The event's object alone: what it is about is not known here, and the result says so."""
    event = Path(__file__).parents[1] / "families/stripe/events"
    stripe_event = json.loads((event / "customer.subscription.updated.json").read_text())

    job_id = enqueue(
        JOB_TYPES.PROCESS_STRIPE_WEBHOOK,
        {
            "eventType": "customer.subscription.updated",
            "eventData": stripe_event["data"]["object"],
            "ipAddress": "203.0.113.7",
        },
    )

    assert stack.completed(job_id).result


@pytest.mark.usefixtures("acme")
def test_report_generation_jobs(app: Flask, stack: Stack) -> None:
    job_id = enqueue(
        JOB_TYPES.GENERATE_REPORT,
        {
            "reportType": "monthly-analytics",
            "startDate": "2025-01-01",
            "endDate": "2025-01-31",
            "format": "pdf",
        },
        user_id=123,
        organization_id=456,
    )

    result = stack.completed(job_id).result or {}
    assert result["artifact"]["name"] == "monthly-analytics-2025-01-01-to-2025-01-31.pdf"
    assert owner_of(job_id) == 456


@pytest.mark.usefixtures("acme")
def test_data_export_jobs(app: Flask, stack: Stack) -> None:
    job_id = enqueue(
        JOB_TYPES.EXPORT_DATA,
        {
            "entityType": "users",
            "format": "csv",
            "filters": {"createdAfter": "2025-01-01"},
        },
        user_id=123,
        organization_id=456,
    )

    result = stack.completed(job_id).result or {}
    assert result["rows"] == 1
    assert result["artifact"]["name"].endswith(".csv")
    assert owner_of(job_id) == 456


def test_scheduled_jobs(app: Flask, stack: Stack) -> None:
    """A day passes in a minute and a half here; the job of one firing is looked at."""
    schedule_id = schedule(
        JOB_TYPES.CLEANUP_OLD_DATA, "0 2 * * *", {"retention": 30}, organization_id=456
    )

    qstash = outbox.publisher()
    found = qstash.call(lambda client: client.schedule.get(schedule_id))
    assert found.cron == "0 2 * * *"
    body = json.loads(found.body or "")
    assert (body["type"], body["payload"]["retention"]) == ("cleanup-old-data", 30)
    assert body["metadata"]["organizationId"] == 456
    qstash.call(lambda client: client.schedule.delete(schedule_id))


def owner_of(job_id: str) -> int | str | None:
    return db.session.scalar(
        select(Artifact.organization_id).where(Artifact.job_id == row_of(job_id).job_id)
    )
