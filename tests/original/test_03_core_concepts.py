"""Core Concepts: job types, schemas, the lifecycle, retries."""

import re
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from marshmallow import ValidationError

from app.db import db
from app.dev.resend_server import OUTAGE
from app.jobs import JOB_TYPES, JobExecution, Status, enqueue, get_job_config
from app.jobs.testing import wait_for
from tests.original.stack import PATIENCE, Stack
from tests.support.rows import row_of

PAYLOAD = {"template": "welcome", "to": "user@example.com", "data": {"recipientName": "John Doe"}}
TEMPLATES = (
    "welcome",
    "passwordReset",
    "passwordChanged",
    "emailChange",
    "teamInvitation",
    "subscriptionCreated",
    "paymentFailed",
)


def test_job_types_and_registry(app: Flask) -> None:
    types = {
        JOB_TYPES.SEND_EMAIL: "send-email",
        JOB_TYPES.PROCESS_WEBHOOK: "process-webhook",
        JOB_TYPES.PROCESS_STRIPE_WEBHOOK: "process-stripe-webhook",
        JOB_TYPES.EXPORT_DATA: "export-data",
        JOB_TYPES.GENERATE_REPORT: "generate-report",
        JOB_TYPES.CLEANUP_OLD_DATA: "cleanup-old-data",
    }
    assert all(constant == name for constant, name in types.items())

    config = get_job_config(JOB_TYPES.SEND_EMAIL)
    assert (config.type, config.endpoint, config.retries, config.timeout, config.description) == (
        "send-email",
        "/api/jobs/email",
        3,
        30,
        "Send transactional emails via Resend",
    )


def test_job_schemas_and_validation(app: Flask) -> None:
    schema = get_job_config(JOB_TYPES.SEND_EMAIL).schema

    assert set(schema.fields) >= {"template", "to", "data"}
    for template in TEMPLATES:
        with pytest.raises(ValidationError) as raised:
            schema.load({"template": template})
        assert "template" not in raised.value.messages_dict
    with pytest.raises(ValidationError, match="Unknown template 'other'"):
        schema.load({**PAYLOAD, "template": "other"})


def test_base_job_schema(app: Flask) -> None:
    job_id = enqueue(JOB_TYPES.SEND_EMAIL, PAYLOAD, user_id=123, organization_id=456)

    envelope = row_of(job_id).payload
    assert envelope.keys() == {"jobId", "type", "payload", "metadata"}
    assert (str(UUID(envelope["jobId"])), envelope["type"]) == (job_id, "send-email")
    metadata = envelope["metadata"]
    assert (metadata["userId"], metadata["organizationId"]) == (123, 456)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", metadata["createdAt"])


def test_job_lifecycle(app: Flask, stack: Stack) -> None:
    """The four states of the guide; "failed, and retried" is told from "dead" by `dead_at`."""
    assert {"pending", "processing", "completed", "failed"} <= set(Status)

    stack.resend.answer("unlucky@example.com", OUTAGE, forever=True)
    unlucky = {**PAYLOAD, "to": "unlucky@example.com"}
    job_id = enqueue(JOB_TYPES.SEND_EMAIL, unlucky, retries=1, retry_delay="2000000")
    row = wait_for(job_id, "failed", timeout=PATIENCE)
    assert row.error is not None


def test_the_job_executions_table(app: Flask) -> None:
    query = (
        "SELECT column_name, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'job_executions'"
    )
    columns = {row.column_name: row.is_nullable for row in db.session.execute(db.text(query))}
    required = ("id", "job_id", "job_type", "status", "payload", "retry_count")
    times = ("created_at", "updated_at")
    optional = ("result", "error", "user_id", "organization_id", "started_at", "completed_at")

    assert {columns[name] for name in required + times} == {"NO"}
    assert {columns[name] for name in optional} == {"YES"}
    assert JobExecution.__tablename__ == "job_executions"


@pytest.mark.parametrize(("options", "retries"), [({}, 3), ({"retries": 5}, 5)])
def test_retry_policies(app: Flask, options: dict[str, Any], retries: int) -> None:
    job_id = enqueue(JOB_TYPES.SEND_EMAIL, PAYLOAD, **options)

    row = row_of(job_id)
    assert (row.max_retries, row.options["retries"]) == (retries, retries)


def test_retry_behavior(app: Flask, stack: Stack) -> None:
    """Each retry waits longer, and counts up `retry_count`; after the last the job is dead."""
    stack.resend.answer("down@example.com", OUTAGE, forever=True)

    job_id = enqueue(JOB_TYPES.SEND_EMAIL, {**PAYLOAD, "to": "down@example.com"})

    def is_dead() -> bool:
        row = row_of(job_id)
        db.session.rollback()
        return row.dead_at is not None

    stack.await_that(is_dead)
    row = row_of(job_id)
    assert (row.status, row.retry_count, len(row.attempts)) == ("failed", 3, 4)
    started = [datetime.fromisoformat(attempt["started_at"]) for attempt in row.attempts]
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(started)]
    assert waits[0] < waits[2] > 1  # seconds, of which each is a thousand
