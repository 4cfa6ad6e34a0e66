"""`flask stripe …` where something is in its way; tests/e2e has it working."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from stripe import Webhook

from app.families.stripe import samples
from tests.support.http_server import HttpServer, Reply
from tests.support.stripe import an_organization, handle, state

TRIGGER = ["stripe", "trigger", "invoice.payment_failed", "--wait", "0"]


def test_an_app_that_does_not_run_is_told_in_one_line(app: Flask, cli: FlaskCliRunner) -> None:
    app.config["BASE_URL"] = "http://127.0.0.1:9"

    result = cli.invoke(args=TRIGGER)

    assert result.exit_code == 2
    assert "no answer from http://127.0.0.1:9/api/stripe/webhook" in result.output
    assert "start the app with `make dev`" in result.output


def test_no_secret_is_told_by_its_setting(app: Flask, cli: FlaskCliRunner) -> None:
    app.config["STRIPE_WEBHOOK_SECRET"] = ""

    result = cli.invoke(args=TRIGGER)

    assert result.exit_code == 2
    assert "STRIPE_WEBHOOK_SECRET is empty" in result.output


def test_what_the_app_refuses_is_printed_and_fails(app: Flask, cli: FlaskCliRunner) -> None:
    with HttpServer(Reply(400, '{"error": "Invalid signature"}')) as server:
        app.config["BASE_URL"] = server.url

        result = cli.invoke(args=TRIGGER)

    assert result.exit_code == 1
    assert 'answered 400 {"error": "Invalid signature"}' in result.output


def test_an_unknown_organization_is_refused_before_anything_is_sent(cli: FlaskCliRunner) -> None:
    args = ["stripe", "simulate", "subscription-lifecycle", "--organization", "4711"]

    result = cli.invoke(args=args)

    assert result.exit_code == 2
    assert "no organization 4711" in result.output


@pytest.mark.parametrize("version", [samples.CURRENT, samples.OLD])
def test_both_shapes_of_the_samples_come_to_the_same_state(app: Flask, version: str) -> None:
    organization = an_organization(customer=None)
    began, about = 1_800_000_000, organization.id
    scene = samples.Scene(
        customer="cus_1",
        subscription="sub_1",
        organization=about,
        began=began,
        version=version,
    )

    for event in samples.lifecycle(scene)[:4]:
        handle(event)

    now = state(organization)
    assert (now["subscription_status"], now["plan_name"]) == ("past_due", "Pro")
    assert now["monthly_amount"] == 4900
    assert now["current_period_end"].timestamp() == began + samples.MONTH


def test_the_sdk_takes_a_sample_for_an_event() -> None:
    made = json.dumps(samples.checkout_completed(samples.Scene()))

    event = Webhook.construct_event_without_verification(made)

    assert event.type == "checkout.session.completed"
