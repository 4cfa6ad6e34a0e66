"""Testing: the guide's unit and integration tests, without mocks of our own code."""

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.dev.reaper import ROOT
from app.jobs import JOB_TYPES, PublishRefused, enqueue, schedule
from app.jobs.message import Message
from app.jobs.testing import (
    FailingQStash,
    assert_enqueued,
    deliver,
    failing_qstash,
    published,
    wait_for,
    wire,
)
from tests.support.rows import row_of

__all__ = ["failing_qstash", "published"]

WELCOME = {"template": "welcome", "to": "test@example.com", "data": {"recipientName": "Test User"}}


def test_should_enqueue_a_job_successfully(app: Flask, published: list[Message]) -> None:
    job_id = enqueue("send-email", WELCOME, user_id=1)

    assert job_id
    assert_enqueued("send-email", {"to": "test@example.com"}, user_id=1)
    assert [message.job_id for message in published] == [job_id]


def test_should_handle_qstash_publish_errors(app: Flask, failing_qstash: FailingQStash) -> None:
    """What QStash refuses is raised; trouble that passes is not, as nothing is lost by it."""
    waiting = enqueue("send-email", WELCOME)
    assert row_of(waiting).status == "pending"

    failing_qstash.way = "refused"
    with pytest.raises(PublishRefused, match="QStash refuses the message"):
        enqueue("send-email", WELCOME)

    failing_qstash.way = "away"


def test_should_process_welcome_email_job(app: Flask, published: list[Message]) -> None:
    """`deliver` signs as QStash does."""
    job_id = enqueue(JOB_TYPES.SEND_EMAIL, WELCOME, user_id=1)

    response = deliver(job_id)

    assert response.status_code == 200
    assert (response.json or {})["success"] is True
    assert wait_for(job_id, "completed").user_id == 1


def test_should_process_a_job_whose_id_is_no_uuid(app: Flask, published: list[Message]) -> None:
    """The guide's own test has `test-job-id`."""
    body = {
        "jobId": "test-job-id",
        "type": "send-email",
        "payload": WELCOME,
        "metadata": {"userId": 1, "createdAt": "2025-10-01T12:00:00.000Z"},
    }

    response = wire.post(app, wire.Post("/api/jobs/email", json.dumps(body).encode(), {}))

    assert (response.status_code, (response.json or {}).get("success")) == (200, True)
    assert row_of("test-job-id").status == "completed"


def test_should_reject_invalid_signature(app: Flask, client: FlaskClient) -> None:
    unsigned = client.post("/api/jobs/email", data=b"{}")
    wrong = client.post("/api/jobs/email", data=b"{}", headers={"Upstash-Signature": "no"})

    assert (unsigned.status_code, wrong.status_code) == (401, 401)


def test_mocking_qstash_in_tests(app: Flask, published: list[Message]) -> None:
    """`published` takes messages and schedules without a network; `wire` signs what you like."""
    assert enqueue(JOB_TYPES.SEND_EMAIL, WELCOME)
    assert schedule(JOB_TYPES.CLEANUP_OLD_DATA, "0 2 * * *", {"retention": 30})
    assert len(published) == 1
    request = wire.Post("/api/jobs/email", b"{}", {})
    assert wire.post(app, request).status_code == 489  # signed, and no envelope


def test_test_coverage() -> None:
    """`make coverage`, beside `make test`."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert {"test", "coverage"} <= set(targets)
