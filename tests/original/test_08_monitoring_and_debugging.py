"""Monitoring & Debugging: the table, the logs, common failures, a failed job step by step."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db import db
from app.dev.reaper import ROOT
from app.dev.resend_server import INVALID, OUTAGE
from app.families.email.send_email import send_email
from app.jobs import (
    JOB_TYPES,
    InvalidPayload,
    enqueue,
    get_job_config,
    get_job_execution_by_job_id,
    update_job_execution,
)
from app.jobs.recover.sweep import sweep
from app.jobs.testing import make_job, wait_for
from tests.original.stack import PATIENCE, Stack
from tests.support.qstash import envelope
from tests.support.rows import row_of

PAYLOAD = {"template": "welcome", "to": "user@example.com", "data": {"recipientName": "John Doe"}}
RECENT = """
SELECT
  job_id,
  job_type,
  status,
  retry_count,
  created_at,
  completed_at
FROM job_executions
ORDER BY created_at DESC
LIMIT 50;
"""
FAILED = """
SELECT
  job_id,
  job_type,
  error,
  retry_count,
  payload
FROM job_executions
WHERE status = 'failed'
ORDER BY created_at DESC;
"""
STATISTICS = """
SELECT
  job_type,
  status,
  COUNT(*) as count,
  AVG(EXTRACT(EPOCH FROM (completed_at - started_at))) as avg_duration_seconds
FROM job_executions
WHERE completed_at IS NOT NULL
GROUP BY job_type, status;
"""


def dead_job(stack: Stack, to: str) -> str:
    """An email that Resend refuses for good."""
    stack.resend.answer(to, INVALID)
    job_id = enqueue(JOB_TYPES.SEND_EMAIL, {**PAYLOAD, "to": to})
    row = wait_for(job_id, "failed")
    assert row.dead_at is not None
    return job_id


def test_viewing_job_executions(app: Flask, stack: Stack) -> None:
    done = stack.completed(enqueue(JOB_TYPES.SEND_EMAIL, PAYLOAD)).job_id
    dead = dead_job(stack, "sql@example.com")

    recent = db.session.execute(db.text(RECENT)).all()
    failed = db.session.execute(db.text(FAILED)).all()
    statistics = db.session.execute(db.text(STATISTICS)).all()

    assert {done, dead} <= {str(row.job_id) for row in recent}
    assert dead in {str(row.job_id) for row in failed}
    durations = {(row.job_type, row.status): row.avg_duration_seconds for row in statistics}
    assert durations["send-email", "completed"] > 0


def test_using_database_queries(app: Flask, stack: Stack) -> None:
    job_id = dead_job(stack, "queries@example.com")

    execution = get_job_execution_by_job_id(job_id)
    assert execution is not None
    assert (execution.status, "422" in (execution.error or "")) == ("failed", True)

    update_job_execution(job_id, {"status": "pending", "error": None, "retry_count": 0})

    execution = row_of(job_id)
    assert (execution.status, execution.error, execution.retry_count) == ("pending", None, 0)
    assert sweep(grace=0).published >= 1
    assert stack.completed(job_id)


def test_qstash_dashboard(app: Flask) -> None:
    """The local server has a page, which the guide's had not."""
    with urllib.request.urlopen(app.config["QSTASH_URL"]) as page:  # noqa: S310 - our own server
        assert page.headers["Content-Type"].startswith("text/html")


def test_application_logs(app: Flask, stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    """The key log patterns, with the guide's fields."""
    caplog.set_level("INFO")
    stack.resend.answer("logs@example.com", OUTAGE)
    job_id = enqueue(
        JOB_TYPES.SEND_EMAIL, {**PAYLOAD, "to": "logs@example.com"}, retry_delay="1000"
    )
    stack.completed(job_id)

    lines = {line.message: vars(line) for line in caplog.records if vars(line).get("jobId")}
    about = {"jobId", "type"}
    fields: dict[str, set[str]] = {
        "[jobs] Enqueueing job": about | {"url"},
        "[jobs] Job enqueued successfully": about,
        "[jobs] Processing job": about,
        "[jobs] Job processed successfully": about,
        "[jobs] Job processing failed": about | {"error"},
    }
    for said, named in fields.items():
        assert lines[said].keys() >= named, said
    assert lines["[jobs] Enqueueing job"]["url"] == f"{app.config['BASE_URL']}/api/jobs/email"


def test_1_signature_verification_failed(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.post("/api/jobs/email", json=envelope(PAYLOAD, "send-email"))

    assert (response.status_code, response.json) == (401, {"error": "Invalid QStash signature"})
    assert "[jobs] Invalid QStash signature" in [line.message for line in caplog.records]


def test_2_job_not_processing(app: Flask, client: FlaskClient) -> None:
    """A wrong path cannot be registered; and `curl` sees that something stands there."""
    assert get_job_config(JOB_TYPES.SEND_EMAIL).endpoint == "/api/jobs/email"
    assert client.get("/api/jobs/email").status_code == 405


def test_3_payload_validation_failed(app: Flask) -> None:
    with pytest.raises(InvalidPayload, match=r"^Invalid job payload for 'send-email': to: Not a"):
        enqueue(JOB_TYPES.SEND_EMAIL, {**PAYLOAD, "to": "user"})


def test_3_validate_payload_before_enqueueing(app: Flask) -> None:
    schema = get_job_config(JOB_TYPES.SEND_EMAIL).schema

    assert schema.validate(PAYLOAD) == {}
    assert schema.validate({**PAYLOAD, "to": 5}).keys() == {"to"}


def test_4_job_execution_timeout(app: Flask) -> None:
    """A job that takes longer fails; the limit stands in the declaration, or at one `enqueue`."""
    slow = {"to": "+12025551234", "message": "slow"}

    job_id = enqueue(JOB_TYPES.SEND_SMS, slow, timeout=1, retries=0)

    assert get_job_config(JOB_TYPES.GENERATE_REPORT).timeout == 180
    row = wait_for(job_id, "failed", timeout=PATIENCE)
    assert row.error is not None
    assert "timeout of 1 s" in row.error


def test_step_1_check_job_execution_record(app: Flask, stack: Stack) -> None:
    job_id = dead_job(stack, "record@example.com")

    execution = get_job_execution_by_job_id(job_id)

    assert execution is not None
    assert (execution.status, execution.retry_count) == ("failed", 0)
    assert "422" in (execution.error or "")
    assert execution.payload["payload"]["to"] == "record@example.com"
    assert get_job_execution_by_job_id("job-uuid") is None


def test_step_2_review_application_logs(app: Flask, tmp_path: Path) -> None:
    """What LOG_FILE names has the lines that the guide's `tail -f … | grep` looks for."""
    log = tmp_path / "logs/application-1.log"
    log.parent.mkdir()
    command = [sys.executable, "-m", "flask", "jobs", "enqueue", "send-email", json.dumps(PAYLOAD)]
    names = ("BASE_URL", "QSTASH_URL", "QSTASH_TOKEN")
    given = {name: str(app.config[name]) for name in names} | {
        "DATABASE_URL": str(app.config["SQLALCHEMY_DATABASE_URI"]),
        "APP_ENV": "test",
        "LOG_FILE": str(log),
    }

    subprocess.run(command, cwd=ROOT, env={**os.environ, **given}, check=True)  # noqa: S603 - ours

    written = "".join(path.read_text() for path in tmp_path.glob("logs/application-*.log"))
    assert any("[jobs] Enqueueing job" in line for line in written.splitlines())


def test_step_3_test_job_handler_directly(app: Flask, stack: Stack) -> None:
    payload: Any = get_job_config(JOB_TYPES.SEND_EMAIL).schema.load(PAYLOAD)

    result = send_email(payload, make_job("send-email", id="test-job"))

    assert result is not None
    assert stack.resend.sent[-1].idempotency_key == "test-job/0"


def test_step_4_manually_retry_failed_job(app: Flask, stack: Stack) -> None:
    """The reset alone would be the retry; enqueued as well, as in the guide, it is done once."""
    job_id = dead_job(stack, "again@example.com")
    execution = row_of(job_id)

    update_job_execution(job_id, {"status": "pending", "error": None, "retryCount": 0})
    metadata = execution.payload["metadata"]
    again = enqueue(
        execution.job_type, execution.payload["payload"], user_id=metadata.get("userId")
    )

    done = stack.completed(again)
    assert sweep().dead_letters == 0
    assert sweep(grace=0).published == 0
    assert (row_of(job_id).status, row_of(job_id).dead_at) == ("completed", None)
    assert row_of(job_id).result == done.result
    sent = [one for one in stack.resend.sent if "again@example.com" in one.recipients]
    assert len(sent) == 1


def test_step_4_manually_retry_failed_job_with_its_key(app: Flask, stack: Stack) -> None:
    """With the metadata's idempotency key, it stays one job."""
    stack.resend.answer("key@example.com", INVALID)
    payload = {**PAYLOAD, "to": "key@example.com"}
    job_id = enqueue(JOB_TYPES.SEND_EMAIL, payload, idempotency_key="manual-retry")
    execution = wait_for(job_id, "failed")

    update_job_execution(job_id, {"status": "pending", "error": None, "retryCount": 0})
    again = enqueue(
        execution.job_type,
        execution.payload["payload"],
        idempotency_key=execution.payload["metadata"]["idempotencyKey"],
    )

    assert again == job_id
    sweep(grace=0)
    assert stack.completed(job_id)
