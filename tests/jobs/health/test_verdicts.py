"""The verdict, and what `flask jobs health` makes of it."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.db import db
from app.jobs import get_job_config
from app.jobs.operate import health
from app.jobs.operate.health import HealthStatus
from app.jobs.table import snapshot
from tests.support.rows import AddJobs

NOW, HOURS_AGO = "now()", "now() - interval '2 hours'"


def codes() -> list[str]:
    return [reason.code for reason in health.check().reasons]


def test_no_jobs_at_all_are_healthy_and_have_no_failure_rate(app: Flask) -> None:
    found = health.check()

    assert found.verdict == HealthStatus.HEALTHY
    assert found.snapshot.failure_rate is None
    assert found.snapshot.oldest_pending_seconds is None


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [(1, HealthStatus.HEALTHY), (3, HealthStatus.DEGRADED), (20, HealthStatus.UNHEALTHY)],
)
def test_the_failure_rate_makes_the_verdict(
    add_jobs: AddJobs, failed: int, verdict: HealthStatus
) -> None:
    add_jobs(19, "completed", completed_at=NOW)
    add_jobs(failed, "failed", completed_at=NOW, dead_at=NOW)
    add_jobs(30, "failed", completed_at=HOURS_AGO, dead_at=HOURS_AGO, created_at=HOURS_AGO)

    assert health.check().verdict == verdict
    assert health.check().snapshot.failure_rate == failed / (19 + failed)


def test_a_job_that_fails_counts_before_its_retries_are_used_up(add_jobs: AddJobs) -> None:
    add_jobs(3, "failed")

    assert codes() == ["failureRate"]
    assert health.check().snapshot.retrying == 3


def test_a_failure_or_two_say_nothing_of_the_others(add_jobs: AddJobs) -> None:
    add_jobs(2, "failed", completed_at=NOW, dead_at=NOW)

    assert health.check().snapshot.failure_rate == 1.0
    assert not codes()


def test_fault_R19_jobs_that_qstash_never_took_are_no_failures(
    app: Flask, add_jobs: AddJobs
) -> None:
    refused = {"completed_at": NOW, "dead_at": NOW, "options": """'{"retries": 3}'"""}
    add_jobs(4, "failed", **refused)
    assert health.check().snapshot.failed == 0
    assert health.check().verdict == HealthStatus.HEALTHY

    add_jobs(1, "failed", **refused, published_at=NOW)
    add_jobs(1, "failed", **refused, started_at=NOW)
    assert health.check().snapshot.failed == 2


def test_jobs_that_only_watch_the_others_do_not_count(add_jobs: AddJobs) -> None:
    assert get_job_config("evaluate-alerts").unwatched
    add_jobs(3, "completed", completed_at=NOW, job_type="'evaluate-alerts'")
    add_jobs(1, "pending", created_at=HOURS_AGO)

    assert health.check().snapshot.completed == 0
    assert codes() == ["idle", "overdue"]


def test_nothing_processed_though_due_is_unhealthy(add_jobs: AddJobs) -> None:
    add_jobs(1, "pending", created_at=HOURS_AGO)
    assert health.check().verdict == HealthStatus.UNHEALTHY

    add_jobs(1, "processing", lease_expires_at="now() + interval '1 minute'")
    assert codes() == ["overdue"]


def test_a_delayed_job_is_not_overdue(add_jobs: AddJobs) -> None:
    add_jobs(1, "pending", created_at=HOURS_AGO, available_at="now() + interval '1 hour'")

    assert health.check().verdict == HealthStatus.HEALTHY
    assert health.check().snapshot.pending == 1


def test_a_job_is_stuck_once_its_lease_ran_out_however_long_it_runs(add_jobs: AddJobs) -> None:
    add_jobs(1, "processing", started_at=HOURS_AGO, lease_expires_at="now() + interval '1 hour'")
    assert codes() == []

    add_jobs(2, "processing", started_at=HOURS_AGO, lease_expires_at=HOURS_AGO)
    assert codes() == ["stuck"]
    assert health.check().snapshot.stuck == 2


def test_thresholds_are_settings(app: Flask, add_jobs: AddJobs) -> None:
    add_jobs(1, "pending", created_at="now() - interval '10 seconds'")
    assert codes() == []

    app.config["JOBS_HEALTH_OVERDUE"] = 5
    assert codes() == ["overdue"]


def test_a_count_ends_at_the_cap(
    add_jobs: AddJobs, monkeypatch: pytest.MonkeyPatch, cli: FlaskCliRunner
) -> None:
    monkeypatch.setattr(snapshot, "CAP", 3)
    monkeypatch.setattr("app.jobs.cli.health.CAP", 3)
    add_jobs(5, "pending")

    assert "pending         3+, overdue 0" in cli.invoke(args=["jobs", "health"]).stdout


@pytest.mark.parametrize(("failed", "code"), [(2, 0), (3, 1), (20, 2)])
def test_the_exit_code_is_the_verdict(
    cli: FlaskCliRunner, add_jobs: AddJobs, failed: int, code: int
) -> None:
    add_jobs(9, "completed", completed_at=NOW)
    add_jobs(failed, "failed", completed_at=NOW, dead_at=NOW)

    said = cli.invoke(args=["jobs", "health"])
    as_json = cli.invoke(args=["jobs", "health", "--json"])

    assert (said.exit_code, as_json.exit_code) == (code, code)
    assert json.loads(as_json.stdout)["verdict"] == said.stdout.split("\n")[0]


@pytest.mark.usefixtures("no_database")
def test_without_a_database_it_is_one_line_and_exit_code_2(cli: FlaskCliRunner) -> None:
    said = cli.invoke(args=["jobs", "health"])

    assert said.exit_code == 2
    assert said.stderr.startswith("Error: the database cannot be reached")


def test_no_part_of_it_scans_the_table(app: Flask) -> None:
    """The planner, told to scan only where there is no other way, finds an index for each part."""
    bound = {"overdue": 1.0, "processing": 1.0, "idle": 1.0, "unwatched": ["x"]}
    for avoided in ("enable_seqscan", "enable_sort"):
        db.session.execute(db.text(f"SET LOCAL {avoided} = off"))
    lines = db.session.scalars(
        db.text(f"EXPLAIN {snapshot.statement(snapshot.CAP).text}"), bound
    ).all()
    plan = "\n".join(lines)

    assert "Seq Scan on job_executions" not in plan
    assert "Sort" not in plan
