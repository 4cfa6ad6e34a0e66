"""Jobs go through the real stack, whatever happens on the way."""

import json
import signal
from datetime import UTC, datetime
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from app.api import keys
from app.db import db
from app.dev.resend_server import INVALID, LOST, OUTAGE, Answer, ResendServer
from app.jobs import Status
from tests.e2e.stack import Stack, enqueue_to, in_dead_letters
from tests.support.publishing import connect
from tests.support.rows import row_of

pytestmark = pytest.mark.usefixtures("producer")


def sent_to(resend: ResendServer, address: str) -> int:
    return sum(address in request.recipients for request in resend.sent)


def outcomes(stack: Stack, job_id: str) -> list[str]:
    return [attempt["outcome"] for attempt in row_of(job_id).attempts]


def test_an_email_is_sent_and_its_job_completed(stack: Stack, resend: ResendServer) -> None:
    job_id = enqueue_to("ann@example.com")

    row = stack.final(job_id)
    assert (row.status, row.retry_count) == (Status.COMPLETED, 0)
    assert row.result is not None
    assert row.result["messageId"] == resend.sent[-1].email_id
    assert resend.sent[-1].idempotency_key == f"{job_id}/0"


def test_one_request_id_runs_through_enqueue_and_delivery(stack: Stack, producer: Flask) -> None:
    job_id = enqueue_to("trace@example.com")
    row = stack.final(job_id)

    request_id = row.options["headers"]["X-Request-Id"]

    def lines() -> list[str]:
        return [line for line in stack.log().splitlines() if job_id in line]

    # The last is written once the outcome is recorded.
    stack.await_that(lambda: len(lines()) == 2, "the two lines of the delivery")
    assert all(request_id in line for line in lines())


def test_a_job_that_fails_twice_is_retried_until_it_succeeds(
    stack: Stack, resend: ResendServer
) -> None:
    resend.answer("twice@example.com", OUTAGE, OUTAGE)
    job_id = enqueue_to("twice@example.com")

    row = stack.final(job_id)
    assert (row.status, row.retry_count) == (Status.COMPLETED, 2)
    assert outcomes(stack, job_id) == ["failed", "failed", "completed"]
    assert sent_to(resend, "twice@example.com") == 1


def test_a_retry_never_sends_twice(stack: Stack, resend: ResendServer) -> None:
    """Resend took the email, but its answer was lost."""
    resend.answer("lost@example.com", LOST)
    job_id = enqueue_to("lost@example.com")

    assert stack.final(job_id).status == Status.COMPLETED
    assert outcomes(stack, job_id) == ["failed", "completed"]
    assert sent_to(resend, "lost@example.com") == 1


def test_a_job_that_can_never_succeed_is_dead_at_once(
    stack: Stack, resend: ResendServer, producer: Flask
) -> None:
    resend.answer("never@example.com", INVALID, forever=True)
    job_id = enqueue_to("never@example.com")

    row = stack.final(job_id)
    assert (row.status, row.dead_at is not None) == (Status.FAILED, True)
    assert outcomes(stack, job_id) == ["failed"]
    stack.await_that(lambda: in_dead_letters(producer, row.message_id), "the dead letter")


def test_a_job_whose_retries_are_used_up_is_dead(
    stack: Stack, resend: ResendServer, producer: Flask
) -> None:
    resend.answer("down@example.com", OUTAGE, forever=True)
    job_id = enqueue_to("down@example.com", retries=2)

    row = stack.final(job_id)
    assert (row.status, row.dead_at is not None, row.retry_count) == (Status.FAILED, True, 2)
    assert outcomes(stack, job_id) == ["failed"] * 3
    stack.await_that(lambda: in_dead_letters(producer, row.message_id), "the dead letter")


@pytest.mark.parametrize("name", ["qstash", "web"])
def test_a_process_killed_in_between_loses_nothing(
    stack: Stack, resend: ResendServer, name: str
) -> None:
    address = f"{name}-killed@example.com"
    # At --speed 20 that is two seconds, and as many retries as a slow start may take.
    job_id = enqueue_to(address, delay=40, retries=50, retry_delay="10000")

    stack.kill(name)
    stack.start_qstash() if name == "qstash" else stack.start_web()

    row = stack.final(job_id)
    assert (row.status, row.error) == (Status.COMPLETED, None)
    assert sent_to(resend, address) == 1


def test_the_app_may_be_away_when_a_job_is_delivered(stack: Stack, resend: ResendServer) -> None:
    stack.kill("web")
    job_id = enqueue_to("away@example.com", retries=50, retry_delay="10000")

    stack.start_web()

    assert stack.final(job_id).status == Status.COMPLETED
    assert sent_to(resend, "away@example.com") == 1


def test_a_stop_lets_a_running_job_finish(stack: Stack, resend: ResendServer) -> None:
    resend.answer("slow@example.com", Answer(after=1))
    job_id = enqueue_to("slow@example.com")
    stack.await_that(lambda: row_of(job_id).status == Status.PROCESSING, "the claim")

    stack.kill("web", signal.SIGTERM)

    row = row_of(job_id)
    assert (row.status, outcomes(stack, job_id)) == (Status.COMPLETED, ["completed"])
    stack.start_web()


def test_a_job_that_outlives_the_grace_period_is_run_again(
    stack: Stack, resend: ResendServer
) -> None:
    """The stop takes it away in the middle, and it does not count as a failure."""
    stack.kill("web", signal.SIGTERM)
    stack.settings["JOBS_GRACE"] = "0.5"
    stack.start_web()
    resend.answer("slower@example.com", Answer(after=6))
    job_id = enqueue_to("slower@example.com", retries=50, retry_delay="10000")
    stack.await_that(lambda: row_of(job_id).status == Status.PROCESSING, "the claim")

    stack.kill("web", signal.SIGTERM)
    stack.start_web()

    assert stack.final(job_id).status == Status.COMPLETED
    assert outcomes(stack, job_id) == ["released", "completed"]
    assert sent_to(resend, "slower@example.com") == 1


@pytest.mark.parametrize("with_row", [True, False])
def test_a_job_of_the_typescript_starter_is_executed_and_recorded(
    stack: Stack, resend: ResendServer, producer: Flask, *, with_row: bool
) -> None:
    """Its envelope, and its row with only the original's columns, or none."""
    address = f"typescript-{with_row}@example.com"
    job_id = str(uuid4())
    data = {"recipientName": "Ann"}
    envelope: dict[str, object] = {
        "jobId": job_id,
        "type": "send-email",
        "payload": {"to": address, "template": "passwordChanged", "data": data},
        "metadata": {"userId": 5, "createdAt": datetime.now(UTC).isoformat()},
    }
    if with_row:
        insert_as_the_original(job_id, envelope)

    with connect(stack.qstash_url) as client:
        url = f"{stack.base_url}/api/jobs/email"
        client.message.publish_json(url=url, body=envelope, retries=3)

    stack.await_that(lambda: sent_to(resend, address), "the email")
    row = stack.final(job_id)
    assert (row.status, row.user_id, row.payload) == (Status.COMPLETED, 5, envelope)


def insert_as_the_original(job_id: str, envelope: dict[str, object]) -> None:
    db.session.execute(
        text(
            "INSERT INTO job_executions"
            " (job_id, job_type, status, payload, retry_count, user_id, created_at, updated_at)"
            " VALUES (:id, 'send-email', 'pending', CAST(:payload AS jsonb), 0, 5, now(), now())"
        ),
        {"id": job_id, "payload": json.dumps(envelope)},
    )
    db.session.commit()


def test_a_job_enqueued_over_http_is_executed_and_its_link_tells(
    stack: Stack, resend: ResendServer
) -> None:
    key, _ = keys.create("e2e", ("enqueue",))
    data = {"to": "http@example.com", "template": "passwordChanged", "data": {"recipientName": "A"}}
    request = Request(  # noqa: S310 - our own URL
        f"{stack.base_url}/api/jobs",
        json.dumps({"type": "send-email", "payload": data}).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urlopen(request) as answer:  # noqa: S310 - likewise
        made = json.load(answer)

    assert stack.final(made["jobId"]).status == Status.COMPLETED
    assert sent_to(resend, "http@example.com") == 1
    with urlopen(made["statusUrl"]) as answer:  # noqa: S310 - likewise
        assert json.load(answer)["status"] == "completed"
