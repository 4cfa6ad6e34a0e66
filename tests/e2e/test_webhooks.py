"""Webhooks over the real stack: from the sender's request to the effect, by a real QStash."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from flask import Flask
from sqlalchemy import select
from stripe import WebhookSignature

from app.db import db
from app.dev.reaper import ROOT
from app.families.email.models import EmailSuppression
from app.families.webhooks.models import WebhookEvent
from app.jobs import Status
from tests.e2e.stack import Stack

EVENTS = sorted(Path(__file__).parent.parent.glob("families/stripe/events/*[a-z].json"))

pytestmark = pytest.mark.usefixtures("producer")


def post_to(stack: Stack, app: Flask, event: dict[str, Any]) -> None:
    body = json.dumps(event)
    secret = app.config["STRIPE_WEBHOOK_SECRET"]
    signature = WebhookSignature.generate_signature_header(body, secret)
    headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
    request = Request(f"{stack.base_url}/api/stripe/webhook", body.encode(), headers)  # noqa: S310 - ours
    with urlopen(request, timeout=10) as answer:  # noqa: S310 - likewise
        assert json.load(answer) == {"received": True}


def job_of(source: str, delivery_id: str) -> str:
    db.session.rollback()
    query = select(WebhookEvent.job_id).where(
        WebhookEvent.source == source, WebhookEvent.delivery_id == delivery_id
    )
    return str(db.session.scalars(query).one())


def test_stripes_events_are_stored_delivered_and_processed(stack: Stack, producer: Flask) -> None:
    events = [json.loads(path.read_text()) for path in EVENTS]
    assert len(events) == 4

    for event in events * 2:
        post_to(stack, producer, event)

    jobs = [stack.final(job_of("stripe", event["id"])) for event in events]
    assert [job.status for job in jobs] == [Status.COMPLETED] * 4


def test_a_bounce_that_resend_reports_suppresses_the_address(stack: Stack) -> None:
    command = [sys.executable, "-m", "flask", "webhooks", "send", "resend", "email.bounced"]

    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--delivery-id", "e2e", "--json"],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    job = stack.final(json.loads(done.stdout)["job_id"])
    assert (job.status, job.job_id) == (Status.COMPLETED, job_of("resend", "e2e"))
    assert db.session.get(EmailSuppression, "bounced@example.com") is not None
