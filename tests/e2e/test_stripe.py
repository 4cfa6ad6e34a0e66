"""Stripe's events from request to effect over the real stack, sent as a developer sends them."""

from flask import Flask, json
from sqlalchemy import select

from app.accounts.models import ActivityLog, Organization
from app.db import db
from app.dev.resend_server import ResendServer
from tests.e2e.stack import Stack


def test_a_simulated_life_ends_canceled_with_its_emails_sent(
    stack: Stack, producer: Flask, resend: ResendServer
) -> None:
    args = ["stripe", "simulate", "subscription-lifecycle", "--email", "life@example.com"]

    result = producer.test_cli_runner().invoke(args=[*args, "--json"])

    told = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert {event["state"] for event in told["events"]} == {"completed"}
    assert (told["end"]["status"], told["end"]["plan"]) == ("canceled", "Pro")
    emails = [event["result"].get("emailJobId") for event in told["events"]]
    for job_id in filter(None, emails):
        stack.final(job_id)
    assert sum("life@example.com" in email.recipients for email in resend.sent) == 3
    organization = db.session.get(Organization, told["end"]["organization"])
    assert organization is not None
    logged = select(ActivityLog.ip_address).where(ActivityLog.organization_id == organization.id)
    assert {str(address) for address in db.session.scalars(logged)} == {"127.0.0.1"}


def test_an_event_of_the_old_shape_is_taken_as_well(stack: Stack, producer: Flask) -> None:
    args = ["stripe", "trigger", "invoice.payment_failed", "--api-version", "old"]

    result = producer.test_cli_runner().invoke(args=args)

    assert result.exit_code == 0, stack.log()
    assert "no organization is known" in result.output
