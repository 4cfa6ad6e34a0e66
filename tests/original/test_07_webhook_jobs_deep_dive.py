"""Webhook Jobs Deep Dive: Stripe's endpoint, and any other source."""

import json
from time import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from stripe import WebhookSignature

from app.db import db
from app.families.stripe.effects import EFFECTS
from app.jobs import JOB_TYPES, JobExecution, enqueue, get_job_config
from tests.original.stack import Stack

EVENT: dict[str, Any] = {
    "id": "evt_original",
    "object": "event",
    "type": "customer.subscription.updated",
    "created": 1795435200,
    "api_version": "2026-10-28.endive",
    "data": {"object": {"id": "sub_unknown", "object": "subscription", "customer": "cus_unknown"}},
}


def test_stripe_webhook_processing(app: Flask, client: FlaskClient, stack: Stack) -> None:
    """Verified, enqueued, and answered before anything is done."""
    body = json.dumps(EVENT)
    secret = app.config["STRIPE_WEBHOOK_SECRET"]
    signature = WebhookSignature.generate_signature_header(body, secret, int(time()))

    response = client.post(
        "/api/stripe/webhook",
        data=body,
        headers={"Stripe-Signature": signature, "Content-Type": "application/json"},
    )

    assert (response.status_code, response.json) == (200, {"received": True})
    query = select(JobExecution).where(JobExecution.job_type == JOB_TYPES.PROCESS_STRIPE_WEBHOOK)
    [job] = [one for one in db.session.scalars(query) if "evt_original" in str(one.payload)]
    payload = job.payload["payload"]
    assert (payload["eventType"], payload["ipAddress"]) == (EVENT["type"], "127.0.0.1")


def test_a_request_that_stripe_did_not_sign_is_refused(client: FlaskClient) -> None:
    response = client.post(
        "/api/stripe/webhook", data="{}", headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 401


@pytest.mark.parametrize(
    "event_type",
    [
        "checkout.session.completed",
        "invoice.payment_failed",
        "customer.subscription.updated",
        "customer.subscription.deleted",
    ],
)
def test_handled_stripe_events(app: Flask, event_type: str) -> None:
    assert event_type in EFFECTS
    assert get_job_config(JOB_TYPES.PROCESS_STRIPE_WEBHOOK).endpoint == "/api/jobs/stripe-webhook"


def test_generic_webhook_processing(app: Flask, stack: Stack) -> None:
    job_id = enqueue(
        JOB_TYPES.PROCESS_WEBHOOK,
        {"source": "github", "event": "push", "data": {"ref": "refs/heads/main"}},
    )

    assert stack.completed(job_id).result == {"note": "no handler for github push"}
