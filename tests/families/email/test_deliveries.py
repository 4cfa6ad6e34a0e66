"""Signed deliveries of `send-email`: from QStash's POST to Resend's API and back."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db import db
from app.dev.resend_server import INVALID, LOST, RATE_LIMITED, Answer, ResendServer
from app.families.email.samples import SAMPLES
from app.jobs import JobExecution, enqueue
from tests.support.qstash import deliver, envelope
from tests.support.rows import row_of

PATH = "/api/jobs/email"


@pytest.fixture
def resend(app: Flask) -> Iterator[ResendServer]:
    with ResendServer() as server:
        app.config.update(RESEND_API_KEY="re_test", RESEND_API_URL=server.url)
        yield server


@pytest.fixture
def job() -> dict[str, Any]:
    return envelope(SAMPLES[0], job_type="send-email")


def test_an_email_is_sent_under_the_jobs_id_and_its_id_recorded(
    client: FlaskClient, resend: ResendServer, job: dict[str, Any]
) -> None:
    assert deliver(client, job, PATH).status_code == 200

    [sent] = resend.sent
    assert sent.idempotency_key == f"{job['jobId']}/0"
    assert row_of(job).result == {"messageId": sent.email_id, "template": "welcome"}


def test_a_retry_after_a_lost_answer_completes_the_job_without_a_second_email(
    client: FlaskClient, resend: ResendServer, job: dict[str, Any]
) -> None:
    resend.answer(None, LOST)

    answers = [deliver(client, job, PATH, upstash_retried=str(n)).status_code for n in (0, 1)]

    assert answers == [500, 200]
    assert row_of(job).status == "completed"
    assert len(resend.sent) == 1


def test_a_refused_email_is_dead_at_once(
    client: FlaskClient, resend: ResendServer, job: dict[str, Any]
) -> None:
    resend.answer(None, INVALID)

    assert deliver(client, job, PATH).status_code == 489

    row = row_of(job)
    assert row.dead_at is not None
    assert "422 validation_error" in (row.error or "")


def test_a_rate_limit_puts_the_job_off_and_keeps_its_idempotency_key(
    client: FlaskClient, resend: ResendServer, job: dict[str, Any]
) -> None:
    resend.answer(None, RATE_LIMITED)

    for message in ("msg_1", "msg_2"):
        deliver(client, job, PATH, upstash_message_id=message)

    assert [request.status for request in resend.requests] == [429, 200]
    assert {request.idempotency_key for request in resend.requests} == {f"{job['jobId']}/0"}
    assert row_of(job).status == "completed"


def test_qstash_is_told_when_resend_wants_to_be_asked_again(
    client: FlaskClient, resend: ResendServer, job: dict[str, Any]
) -> None:
    resend.answer(None, Answer(503, "unavailable", "Back soon.", {"Retry-After": "90"}))

    response = deliver(client, job, PATH)

    assert (response.status_code, response.headers["Retry-After"]) == (500, "90")


def test_a_payload_that_does_not_fit_is_answered_with_its_errors(
    client: FlaskClient, resend: ResendServer
) -> None:
    bad = {"to": "ada@example.com", "template": "passwordReset", "data": {"recipientName": "Ada"}}

    response = deliver(client, envelope(bad, job_type="send-email"), PATH)

    assert response.status_code == 489
    assert "Missing data for required field." in response.text
    assert resend.requests == []


#: As the public TypeScript starter writes them, with what it says more than the guide.
STARTERS: dict[str, dict[str, Any]] = {
    "welcome": {
        "recipientName": "Ada",
        "dashboardUrl": "https://ts.example.com/app",
        "teamName": "Engines",
        "supportEmail": "help@example.com",
    },
    "passwordReset": {"resetUrl": "https://ts.example.com/r", "expiresInMinutes": 60},
    "passwordChanged": {"changedAt": "2026-11-28T12:00:00Z", "ipAddress": "192.0.2.1"},
    "emailChange": {
        "recipientName": "",
        "confirmationUrl": "https://ts.example.com/c",
        "newEmail": "new@example.com",
        "oldEmail": "old@example.com",
    },
    "teamInvitation": {
        "inviterName": "Grace",
        "teamName": "Engines",
        "inviteUrl": "https://ts.example.com/i",
        "role": "member",
    },
    "subscriptionCreated": {
        "planName": "Pro",
        "amount": "29.99",
        "dashboardUrl": "https://ts.example.com/app",
        "supportEmail": "",
    },
    "paymentFailed": {
        "amountDue": "29.99",
        "paymentDetailsUrl": "https://ts.example.com/pay",
        "supportEmail": "",
    },
}
UNKNOWN = {
    "welcome": ["supportEmail", "teamName"],
    "passwordReset": ["expiresInMinutes"],
    "passwordChanged": ["changedAt", "ipAddress"],
    "emailChange": ["oldEmail"],
    "teamInvitation": ["role"],
    "subscriptionCreated": ["supportEmail"],
    "paymentFailed": ["supportEmail"],
}


@pytest.mark.parametrize("template", STARTERS)
def test_an_email_of_another_producer_is_sent_whatever_it_says_besides(
    client: FlaskClient, resend: ResendServer, caplog: pytest.LogCaptureFixture, template: str
) -> None:
    payload = {"to": "ada@example.com", "template": template, "data": STARTERS[template]}
    job = envelope(payload, job_type="send-email")

    assert deliver(client, job, PATH).status_code == 200

    [sent] = resend.sent
    links = [value for key, value in STARTERS[template].items() if key.endswith("Url")]
    assert all(link in sent.params["html"] for link in links)
    [line] = [line for line in caplog.records if line.message == "[email] Unknown fields dropped"]
    assert line.__dict__["fields"] == UNKNOWN[template]


def test_it_is_so_at_every_attempt_and_for_a_row_that_the_producer_wrote(
    app: Flask, client: FlaskClient, resend: ResendServer
) -> None:
    payload = {"to": "a@b.example", "template": "teamInvitation", **data_of("teamInvitation")}
    arrived, written = envelope(payload, job_type="send-email"), envelope(payload, "send-email")
    values = {"job_id": written["jobId"], "job_type": "send-email", "payload": written}
    db.session.add(JobExecution(**values))
    db.session.commit()
    resend.answer(None, Answer(500, "internal", "Sorry."))

    first = deliver(client, arrived, PATH).status_code
    again = deliver(client, arrived, PATH, upstash_retried="1").status_code
    assert (first, again, deliver(client, written, PATH).status_code) == (500, 200, 200)


def test_what_other_producers_must_say_they_must_say(
    client: FlaskClient, resend: ResendServer
) -> None:
    payload = {"to": "a@b.example", "template": "passwordReset", "data": {"expiresInMinutes": 60}}

    answer = deliver(client, envelope(payload, job_type="send-email"), PATH)

    assert answer.json is not None
    assert (answer.status_code, answer.json["errors"]) == (
        489,
        {"data": {"resetUrl": ["Missing data for required field."]}},
    )


def test_a_row_of_our_own_is_held_to_the_schema(client: FlaskClient, resend: ResendServer) -> None:
    """What was enqueued here fitted then; if it does no more, the code has changed."""
    job_id = enqueue("send-email", SAMPLES[0])
    job = envelope({**SAMPLES[0], "data": {"teamName": "x"}}, "send-email") | {"jobId": job_id}

    assert deliver(client, job, PATH).status_code == 489


def data_of(template: str) -> dict[str, Any]:
    return {"data": STARTERS[template]}
