"""Email Jobs Deep Dive: now or later, and from one to the other."""

import pytest
from flask import Flask

from app.families.email.senders import (
    send_team_invitation_email,
    send_team_invitation_email_async,
    send_welcome_email,
    send_welcome_email_async,
)
from app.jobs import JOB_TYPES, Status
from app.jobs.testing import perform
from tests.original.stack import Stack
from tests.support.rows import row_of


def test_synchronous(app: Flask, stack: Stack) -> None:
    """It blocks until Resend has the email, and returns Resend's id for it."""
    message_id = send_welcome_email(to="user@example.com", recipient_name="John Doe")

    assert stack.resend.sent[-1].email_id == message_id
    assert stack.resend.sent[-1].params["to"] == "user@example.com"


def test_asynchronous(app: Flask, stack: Stack) -> None:
    """It returns at once, and the email is sent in the background."""
    job_id = send_welcome_email_async(to="user@example.com", recipient_name="John Doe", user_id=123)

    assert row_of(job_id).user_id == 123
    assert stack.email(job_id)["to"] == "user@example.com"


@pytest.mark.parametrize(
    ("template", "data", "subject"),
    [
        ("welcome", {"recipientName": "John Doe"}, "Welcome to Acme, John Doe"),
        (
            "passwordReset",
            {"recipientName": "John Doe", "resetUrl": "https://example.com/reset/token"},
            "Reset your Acme password",
        ),
    ],
)
def test_email_job_implementation(
    app: Flask, stack: Stack, template: str, data: dict[str, str], subject: str
) -> None:
    """The handler goes by the template, with `to` and the data."""
    payload = {"template": template, "to": "user@example.com", "data": data}

    assert perform(JOB_TYPES.SEND_EMAIL, payload)

    assert stack.resend.sent[-1].params["subject"] == subject


def test_migration_guide(app: Flask, stack: Stack) -> None:
    """After takes what before took, and whom it is for."""
    send_team_invitation_email(
        to="invited@example.com",
        recipient_name="Jane Doe",
        inviter_name="John Doe",
        organization_name="Acme Corp",
        invitation_url="https://example.com/invite/token",
    )
    before = stack.resend.sent[-1].params

    job_id = send_team_invitation_email_async(
        to="invited@example.com",
        recipient_name="Jane Doe",
        inviter_name="John Doe",
        organization_name="Acme Corp",
        invitation_url="https://example.com/invite/token",
        user_id=123,
        organization_id=456,
    )

    after = stack.email(job_id)
    assert {key: after[key] for key in ("to", "subject", "html", "text")} == {
        key: before[key] for key in ("to", "subject", "html", "text")
    }
    row = row_of(job_id)
    assert (row.status, row.user_id, row.organization_id) == (Status.COMPLETED, 123, 456)
