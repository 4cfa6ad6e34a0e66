"""Overview: the key benefits that the guide promises."""

import pytest
from flask import Flask

from app.dev.resend_server import OUTAGE, Answer
from app.jobs import JOB_TYPES, InvalidPayload, enqueue, get_job_config
from app.jobs.testing import wait_for
from tests.original.stack import Stack
from tests.support.rows import row_of


def welcome(to: str) -> dict[str, object]:
    return {"template": "welcome", "to": to, "data": {"recipientName": "Test User"}}


def test_non_blocking_operations(app: Flask, stack: Stack) -> None:
    """The call has returned while the email still waits for Resend."""
    stack.resend.answer("slow@example.com", Answer(after=1))

    job_id = enqueue(JOB_TYPES.SEND_EMAIL, welcome("slow@example.com"))

    assert row_of(job_id).status in ("pending", "processing")
    assert stack.completed(job_id)


def test_automatic_retries(app: Flask, stack: Stack) -> None:
    stack.resend.answer("twice@example.com", OUTAGE, OUTAGE)

    job_id = enqueue(JOB_TYPES.SEND_EMAIL, welcome("twice@example.com"), retry_delay="1000")

    row = stack.completed(job_id)
    assert [attempt["outcome"] for attempt in row.attempts] == ["failed", "failed", "completed"]


def test_reliability_and_monitoring(app: Flask, stack: Stack) -> None:
    """The row is there before the job is run, and goes through pending, processing, completed."""
    stack.resend.answer("seen@example.com", Answer(after=0.5))
    job_id = enqueue(JOB_TYPES.SEND_EMAIL, welcome("seen@example.com"))

    before = row_of(job_id)
    assert before.payload["payload"]["to"] == "seen@example.com"
    assert wait_for(job_id, "processing").started_at is not None
    after = stack.completed(job_id)
    assert after.completed_at is not None


def test_scalability(app: Flask) -> None:
    """QStash calls whatever worker stands at the endpoint: nothing but HTTP ties them together."""
    assert get_job_config(JOB_TYPES.SEND_EMAIL).endpoint == "/api/jobs/email"


def test_type_safety(app: Flask) -> None:
    with pytest.raises(InvalidPayload, match="to: Not a valid email address"):
        enqueue(JOB_TYPES.SEND_EMAIL, welcome("nobody"))
