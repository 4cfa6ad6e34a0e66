"""The job `cleanup-old-data`."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, insert, select

from app import artifacts
from app.accounts.models import ActivityLog
from app.artifacts import Artifact
from app.db import db
from app.families.cleanup import batches
from app.families.cleanup.cleanup_old_data import Cleanup, cleanup_old_data
from app.families.webhooks.models import WebhookEvent
from app.jobs import Continue, InvalidPayload, JobExecution, enqueue
from app.jobs.testing import make_job
from tests.support.qstash import deliver, envelope

OLD, NEW = timedelta(days=91), timedelta(days=89)
FINAL = [
    {"status": "completed"},
    {"status": "cancelled"},
    {"status": "failed", "dead_at": datetime.now(UTC) - OLD},
]
SLEEPY = """
    CREATE FUNCTION sleepy() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(0.03); RETURN OLD; END';
    CREATE TRIGGER sleepy BEFORE DELETE ON job_executions FOR EACH ROW EXECUTE FUNCTION sleepy()
"""
OPEN = [{"status": "pending"}, {"status": "processing"}, {"status": "failed"}]


def add_job(age: timedelta, **values: Any) -> str:
    job_id, then = str(uuid4()), datetime.now(UTC) - age
    given = {"created_at": then, "updated_at": then, "job_type": "echo", "payload": {}, **values}
    db.session.execute(insert(JobExecution).values(job_id=job_id, **given))
    db.session.commit()
    return job_id


def add_webhook(age: timedelta, job_id: str | None = None) -> None:
    given = {"source": "github", "event": "push", "verified": True, "body": b"{}"}
    then = datetime.now(UTC) - age
    one = insert(WebhookEvent).values(
        delivery_id=str(uuid4()), received_at=then, job_id=job_id, **given
    )
    db.session.execute(one)
    db.session.commit()


def clean(**payload: Any) -> dict[str, Any]:
    given = {"retention": 90, **payload}
    result = cleanup_old_data(Cleanup(**given), make_job("cleanup-old-data"))
    db.session.rollback()  # What was deleted is gone, whatever becomes of the job.
    assert result is not None
    return result


def count(model: type[Any]) -> int:
    return db.session.scalars(select(func.count()).select_from(model)).one()


@pytest.mark.parametrize("state", FINAL, ids=lambda state: state["status"])
def test_a_job_that_is_over_goes_when_it_is_old(app: Flask, state: dict[str, Any]) -> None:
    add_job(OLD, **state)
    kept = add_job(NEW, **state | ({"dead_at": datetime.now(UTC)} if "dead_at" in state else {}))

    assert clean()["deleted"]["jobExecutions"] == 1
    assert db.session.scalars(select(JobExecution.job_id)).all() == [kept]


@pytest.mark.parametrize("state", OPEN, ids=lambda state: state["status"])
def test_a_job_that_is_not_over_stays_whatever_its_age(app: Flask, state: dict[str, Any]) -> None:
    add_job(timedelta(days=5000), **state)

    assert clean(retention=1)["deleted"]["jobExecutions"] == 0
    assert count(JobExecution) == 1


def test_an_old_job_that_ended_lately_stays(app: Flask) -> None:
    add_job(OLD, status="completed", completed_at=datetime.now(UTC))

    clean()

    assert count(JobExecution) == 1


def test_a_webhook_stays_until_its_job_is_over(app: Flask) -> None:
    add_webhook(OLD, job_id=add_job(OLD, status="pending"))
    add_webhook(OLD, job_id=add_job(OLD, status="completed"))
    add_webhook(OLD)
    add_webhook(NEW)

    assert clean()["deleted"]["webhookEvents"] == 2
    assert count(WebhookEvent) == 2


def test_activity_logs_have_a_retention_of_their_own(app: Flask) -> None:
    app.config["ACTIVITY_RETENTION_DAYS"] = 400
    now = datetime.now(UTC)
    ages = [{"action": "x", "created_at": now - timedelta(days=days)} for days in (91, 399, 401)]
    db.session.execute(insert(ActivityLog), ages)
    db.session.commit()

    assert clean()["deleted"]["activityLogs"] == 1
    assert count(ActivityLog) == 2


def test_expired_artifacts_go_with_their_files(app: Flask) -> None:
    for _ in range(2):
        with artifacts.create("a.txt", media_type="text/plain") as file:
            file.write(b"x")
    file.artifact.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    db.session.commit()

    assert clean()["deleted"]["artifacts"] == 1
    assert count(Artifact) == 1
    assert len(files(app)) == 1


def test_files_that_no_artifact_names_go(app: Flask) -> None:
    with artifacts.create("a.txt", media_type="text/plain") as file:
        file.write(b"x")
    db.session.rollback()
    two_hours_ago = (datetime.now(UTC) - timedelta(hours=2)).timestamp()
    for path in files(app):
        os.utime(path, (two_hours_ago, two_hours_ago))

    assert clean()["deleted"]["orphanedFiles"] == 1
    assert files(app) == []


def files(app: Flask) -> list[Path]:
    return [path for path in (Path(app.instance_path) / "artifacts").rglob("*") if path.is_file()]


def test_fault_A18_a_dry_run_counts_and_deletes_nothing(app: Flask) -> None:
    add_job(OLD, status="completed")
    add_webhook(OLD)

    result = clean(dry_run=True)

    assert result["dryRun"] is True
    assert result["wouldDelete"]["jobExecutions"] == result["wouldDelete"]["webhookEvents"] == 1
    assert count(JobExecution) == count(WebhookEvent) == 1


@pytest.mark.parametrize("retention", [0, -1, 1.5, "90", None, True, 10**9])
def test_a_retention_that_is_no_number_of_days_is_refused(app: Flask, retention: Any) -> None:
    with pytest.raises(InvalidPayload) as refused:
        enqueue("cleanup-old-data", {"retention": retention})

    assert set(refused.value.errors) == {"retention"}
    assert count(JobExecution) == 0


def test_what_one_delivery_does_not_finish_the_next_goes_on_with(app: Flask) -> None:
    for _ in range(3):
        add_job(OLD, status="completed")
        add_webhook(OLD)

    with pytest.raises(Continue) as handed_over:
        cleanup_old_data(Cleanup(90), make_job("cleanup-old-data", seconds=1))
    assert handed_over.value.state["deleted"]["jobExecutions"] == 3
    rest = cleanup_old_data(
        Cleanup(90), make_job("cleanup-old-data", state=handed_over.value.state)
    )

    assert rest is not None
    assert rest["deleted"]["jobExecutions"] == rest["deleted"]["webhookEvents"] == 3


def test_each_batch_commits_and_is_stopped_before_it_holds_locks_for_long(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow table (a trigger that sleeps) makes PostgreSQL stop the batch, and it gets smaller."""
    monkeypatch.setattr(batches, "FEWEST", 8)
    monkeypatch.setattr(batches, "LIMIT_OF_ONE", 60)  # the machine may be slow as well
    for _ in range(8):
        add_job(OLD, status="completed")
    sizes: list[int] = []

    def note(*args: Any) -> None:
        if "DELETE FROM job_executions" in args[2]:
            sizes.append(args[3]["last"] - args[3]["first"] + 1)

    db.session.execute(db.text(SLEEPY))
    db.session.commit()
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert clean()["deleted"]["jobExecutions"] == 8
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
        db.session.execute(db.text("DROP FUNCTION sleepy CASCADE"))
        db.session.commit()
    assert sizes[:2] == [8, 2]


def test_it_is_delivered_like_any_job(client: FlaskClient) -> None:
    add_job(OLD, status="completed")
    job = envelope({"retention": 90}, job_type="cleanup-old-data")

    response = deliver(client, job, "/api/jobs/cleanup")

    assert response.json is not None
    assert response.json["result"]["deleted"]["jobExecutions"] == 1


def test_it_is_scheduled_at_three_with_ninety_days() -> None:
    (schedule,) = cleanup_old_data.schedules

    assert (schedule.cron, schedule.payload) == ("0 3 * * *", {"retention": 90})
