"""Production Deployment: settings, migrations, monitoring, indexes, cleanup."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from app.db import db
from app.jobs import JOB_TYPES, enqueue, schedule
from app.jobs.publish import outbox
from app.jobs.values.cron import explain
from tests.original.stack import Stack

WELCOME = {"template": "welcome", "to": "user@example.com", "data": {}}


def test_environment_variables_checklist(app: Flask) -> None:
    """By the guide's names, but for `APP_ENV` (NODE_ENV) and `BASE_URL` (NEXT_PUBLIC_BASE_URL)."""
    names = (
        "BASE_URL",
        "QSTASH_URL",
        "QSTASH_TOKEN",
        "QSTASH_CURRENT_SIGNING_KEY",
        "QSTASH_NEXT_SIGNING_KEY",
        "RESEND_API_KEY",
        "RESEND_FROM_EMAIL",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "APP_ENV",
    )
    assert set(names) <= app.config.keys()


def test_database_migrations(app: Flask) -> None:
    """PostgreSQL's own description of `job_executions` is one of a table."""
    assert db.session.scalar(db.text("SELECT to_regclass('job_executions')")) == "job_executions"


def test_deployment_checklist(cli: FlaskCliRunner) -> None:
    """`flask jobs doctor --production` goes through it."""
    said = cli.invoke(args=["jobs", "doctor", "--production", "--only", "environment", "--json"])

    assert [one["check"] for one in json.loads(said.stdout)] == ["environment"]


def test_monitoring_and_alerting(app: Flask, client: FlaskClient, stack: Stack) -> None:
    stack.completed(enqueue(JOB_TYPES.SEND_EMAIL, WELCOME))

    said = client.get("/api/admin/job-health").json

    assert said is not None
    stats = {one["status"]: one["count"] for one in said["stats"]}
    assert stats["completed"] >= 1
    assert said["failureRate"] == stats.get("failed", 0)
    assert said["totalJobs"] == sum(stats.values())
    healthy = said["failureRate"] < 0.05 * said["totalJobs"] or not said["failureRate"]
    assert said["health"] == ("healthy" if healthy else "unhealthy")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("JOBS_HEALTH_FAILURE_RATE", 0.05),
        ("JOBS_HEALTH_PROCESSING", 600),
        ("JOBS_HEALTH_IDLE", 3600),
    ],
)
def test_alert_on(app: Flask, setting: str, value: float) -> None:
    """More than 5 % failed, ten minutes in processing, an hour without a job that was expected."""
    assert app.config[setting] == value


@pytest.mark.parametrize(
    "name",
    [
        "idx_job_executions_status",
        "idx_job_executions_created_at",
        "idx_job_executions_user_id",
        "idx_job_executions_organization_id",
        "idx_job_executions_status_created",
    ],
)
def test_database_indexes(app: Flask, name: str) -> None:
    query = "SELECT indexdef FROM pg_indexes WHERE indexname = :name"

    definition = str(db.session.scalar(db.text(query), {"name": name}))

    first = name.removeprefix("idx_job_executions_").removesuffix("_created")
    assert f"({first}" in definition


def test_job_cleanup(app: Flask, stack: Stack) -> None:
    schedule_id = schedule(JOB_TYPES.CLEANUP_OLD_DATA, "0 3 * * *", {"retention": 90})

    found = outbox.publisher().call(lambda client: client.schedule.get(schedule_id))
    assert explain(found.cron) == "At 03:00 every day"
    outbox.publisher().call(lambda client: client.schedule.delete(schedule_id))
