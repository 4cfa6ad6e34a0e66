"""How people are told, by servers that take what the channels send."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from app.dev.resend_server import ResendServer
from app.families.alerts import doctor
from app.families.alerts.posting import post
from app.families.webhooks.verifiers import Standard
from app.jobs import RetryLater
from app.jobs.doctor import Level
from app.jobs.operate import health
from tests.support.http_server import HttpServer, Reply
from tests.support.qstash import deliver, envelope
from tests.support.rows import AddJobs


def a_job(channel: str, kind: str = "changed") -> dict[str, Any]:
    alert = {
        "channel": channel,
        "kind": kind,
        "previous": "healthy",
        "since": "2026-11-23T12:00:00+00:00",
        "health": health.as_json(health.check()),
    }
    return envelope(alert, job_type="send-alert")


def send(client: FlaskClient, channel: str, kind: str = "changed") -> TestResponse:
    return deliver(client, a_job(channel, kind), "/api/jobs/alert")


@pytest.fixture(autouse=True)
def _trouble(add_jobs: AddJobs) -> None:
    add_jobs(1, "pending", created_at="now() - interval '2 hours'", job_type="'<b>'")


def test_an_email_says_what_is_wrong_and_what_to_do(
    client: FlaskClient, resend: ResendServer
) -> None:
    assert send(client, "email").status_code == 200

    email = resend.sent[0].params
    assert (email["to"], email["subject"]) == ("ops@example.com", "[Acme] Jobs are unhealthy")
    assert "nothing was processed for 1 h, though jobs are due" in email["text"]
    assert "flask jobs doctor" in email["text"]
    assert resend.sent[0].idempotency_key


def test_slack_gets_a_text_without_markup_of_others(
    client: FlaskClient, slack: HttpServer, app: Flask
) -> None:
    app.config["APP_NAME"] = "<!channel> & Co"

    assert send(client, "slack", kind="reminder").status_code == 200

    text = json.loads(slack.bodies[0])["text"]
    assert text.startswith("*[&lt;!channel&gt; &amp; Co] Jobs are still unhealthy*\n")


def test_a_webhook_is_signed_and_its_id_is_the_same_at_every_attempt(
    app: Flask, client: FlaskClient, webhook: HttpServer
) -> None:
    job = a_job("webhook")
    for status, answered in ((500, 500), (200, 200)):
        webhook.reply = Reply(status)
        assert deliver(client, job, "/api/jobs/alert").status_code == answered

    first, second = webhook.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    Standard().verify(Headers(second.headers), second.body, [app.config["ALERT_WEBHOOK_SECRET"]])
    event = second.json
    assert (event["type"], event["data"]["verdict"]) == ("job_health.changed", "unhealthy")


@pytest.mark.parametrize(("status", "answered"), [(500, 500), (404, 489), (410, 489)])
def test_trouble_is_tried_again_and_a_refusal_is_not(
    client: FlaskClient, slack: HttpServer, status: int, answered: int
) -> None:
    slack.reply = Reply(status)

    response = send(client, "slack")

    assert response.status_code == answered
    assert "secret" not in response.text


def test_a_rate_limit_is_waited_out(slack: HttpServer) -> None:
    slack.reply = Reply(429)

    with pytest.raises(RetryLater, match="Slack answered 429"):
        post("Slack", slack.url, b"{}", patience=60)


def test_a_channel_that_is_gone_by_now_is_left_out(client: FlaskClient) -> None:
    response = send(client, "slack")

    assert response.json is not None
    assert response.json["result"] == {"skipped": "slack is no longer configured"}


def test_the_channels_can_be_tried_by_hand(
    cli: FlaskCliRunner, slack: HttpServer, resend: ResendServer, app: Flask
) -> None:
    assert cli.invoke(args=["jobs", "alerts", "test"]).stdout == "email: sent\nslack: sent\n"
    assert "A test: jobs are unhealthy" in resend.sent[0].params["subject"]

    slack.reply = Reply(404)
    result = cli.invoke(args=["jobs", "alerts", "test"])
    assert (result.exit_code, result.stderr) == (1, "slack: Slack answered 404\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["test"], "no channel is configured"),
        (["acknowledge"], "nothing to acknowledge"),
        (["silence", "soon"], "'soon' is not a duration"),
    ],
)
def test_what_makes_no_sense_is_one_line(cli: FlaskCliRunner, args: list[str], said: str) -> None:
    result = cli.invoke(args=["jobs", "alerts", *args])

    assert result.exit_code == 2
    assert said in result.stderr


def test_the_doctor_misses_channels_in_production(app: Flask) -> None:
    assert doctor.alerts().level == Level.WARN

    app.config["ALERT_EMAIL"] = "ops@example.com"
    assert doctor.alerts().said == "alerts go to email"
