"""API Reference: every function and type, with its example."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import get_type_hints
from uuid import UUID, uuid4

import pytest
from flask import Flask

from app.jobs import (
    JOB_TYPES,
    JobConfig,
    JobExecution,
    JobType,
    Options,
    UnknownJobType,
    create_job_execution,
    enqueue,
    get_job_config,
    get_job_execution_by_job_id,
    schedule,
    update_job_execution,
)
from app.jobs.publish import outbox
from app.jobs.schemas import Metadata
from tests.original.send_sms import send_sms
from tests.original.stack import Stack
from tests.support.rows import row_of


def test_enqueue(app: Flask, stack: Stack) -> None:
    job_id = enqueue(
        JOB_TYPES.SEND_EMAIL,
        {"template": "welcome", "to": "user@example.com", "data": {}},
        user_id=123,
        retries=5,
        delay=60,
    )

    assert isinstance(job_id, str)
    assert UUID(job_id)
    assert stack.email(job_id)["subject"] == "Welcome to Acme"


def test_schedule(app: Flask, stack: Stack) -> None:
    schedule_id = schedule(
        JOB_TYPES.CLEANUP_OLD_DATA, "0 2 * * *", {"retention": 30}, organization_id=456
    )

    assert schedule_id.startswith("scd_")
    outbox.publisher().call(lambda client: client.schedule.delete(schedule_id))


def test_create_job_worker(app: Flask) -> None:
    """`@bp.job` wraps a handler: verified, claimed, recorded."""
    assert isinstance(send_sms, JobType)
    assert send_sms.config.endpoint == "/api/jobs/sms"


def test_get_job_config(app: Flask) -> None:
    config = get_job_config(JOB_TYPES.SEND_EMAIL)
    assert (config.retries, config.timeout) == (3, 30)

    with pytest.raises(UnknownJobType, match="unknown job type 'send-mail'; did you mean: send-em"):
        get_job_config("send-mail")


def test_create_job_execution(app: Flask) -> None:
    job_id = str(uuid4())

    execution = create_job_execution(
        {
            "jobId": job_id,
            "jobType": "send-email",
            "status": "pending",
            "payload": {"jobId": job_id, "type": "send-email"},
            "userId": 123,
        }
    )

    assert isinstance(execution, JobExecution)
    assert (execution.job_id, execution.status, execution.user_id) == (job_id, "pending", 123)


def test_create_job_execution_with_the_guides_id(app: Flask) -> None:
    """Its example's id is the text `uuid`."""
    execution = create_job_execution(
        {"jobId": "uuid", "jobType": "send-email", "status": "pending", "payload": {}}
    )

    assert (execution.job_id, row_of("uuid").status) == ("uuid", "pending")


def test_get_job_execution_by_job_id(app: Flask) -> None:
    job_id = enqueue(
        JOB_TYPES.SEND_EMAIL, {"template": "welcome", "to": "user@example.com", "data": {}}
    )

    execution = get_job_execution_by_job_id(job_id)
    assert execution is not None
    assert execution.error is None
    assert get_job_execution_by_job_id(str(uuid4())) is None


def test_update_job_execution(app: Flask) -> None:
    job_id = str(uuid4())
    create_job_execution({"job_id": job_id, "job_type": "send-email", "payload": {}})
    now = datetime.now(UTC)

    update_job_execution(job_id, {"status": "completed", "completedAt": now})

    assert (row_of(job_id).status, row_of(job_id).completed_at) == ("completed", now)


def test_job_type(app: Flask) -> None:
    """Job types are texts; the six of the guide, and what is declared besides."""
    assert set(JOB_TYPES) >= {
        "send-email",
        "process-webhook",
        "process-stripe-webhook",
        "export-data",
        "generate-report",
        "cleanup-old-data",
    }


def test_job_config() -> None:
    names = {field.name for field in fields(JobConfig)}

    assert names >= {"type", "endpoint", "retries", "timeout", "description"}


def test_base_job_metadata() -> None:
    names = {field.name for field in fields(Metadata)}

    assert names >= {"user_id", "organization_id", "idempotency_key", "created_at"}


def test_enqueue_job_options() -> None:
    names = get_type_hints(Options).keys()

    assert names >= {"delay", "retries", "callback", "failure_callback", "headers"}
