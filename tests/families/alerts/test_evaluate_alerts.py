"""When people are told: once per change that lasts, and again while nobody takes care."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import delete, update

from app.db import db
from app.families.alerts.models import AlertState
from app.jobs import JobExecution
from tests.support.http_server import HttpServer
from tests.support.qstash import deliver, envelope
from tests.support.rows import AddJobs

Evaluate = Callable[[], str | None]


@pytest.fixture
def evaluate(client: FlaskClient, slack: HttpServer) -> Evaluate:
    """Evaluate once; return what people are told, None where nothing is."""

    def run() -> str | None:
        job = envelope({}, job_type="evaluate-alerts")
        response = deliver(client, job, "/api/jobs/alerts")
        assert response.status_code == 200, response.text
        assert response.json is not None
        told: str | None = response.json["result"]["told"]
        return told

    return run


@pytest.fixture
def trouble(add_jobs: AddJobs) -> Callable[[], None]:
    return lambda: add_jobs(1, "pending", created_at="now() - interval '2 hours'")


def repair() -> None:
    db.session.execute(delete(JobExecution).where(JobExecution.job_type == "sample"))
    db.session.commit()


def hours_pass(hours: float) -> None:
    earlier = AlertState.told_at - timedelta(hours=hours)
    db.session.execute(update(AlertState).values(told_at=earlier))
    db.session.commit()


def messages() -> list[JobExecution]:
    """What is recorded for the channels, oldest first."""
    db.session.rollback()
    query = db.select(JobExecution).filter_by(job_type="send-alert").order_by(JobExecution.id)
    return list(db.session.scalars(query))


def test_as_long_as_all_is_well_nobody_is_told(evaluate: Evaluate) -> None:
    assert [evaluate() for _ in range(3)] == [None] * 3
    assert messages() == []


def test_a_change_is_told_once_and_so_is_its_end(
    evaluate: Evaluate, trouble: Callable[[], None]
) -> None:
    trouble()
    assert [evaluate() for _ in range(4)] == [None, "changed", None, None]

    repair()
    assert [evaluate() for _ in range(4)] == [None, "changed", None, None]
    verdicts = [row.payload["payload"]["health"]["verdict"] for row in messages()]
    assert verdicts == ["unhealthy", "healthy"]
    assert messages()[1].payload["payload"]["previous"] == "unhealthy"


def test_what_comes_and_goes_is_told_to_nobody(
    evaluate: Evaluate, trouble: Callable[[], None]
) -> None:
    for _ in range(3):
        trouble()
        assert evaluate() is None
        repair()
        assert evaluate() is None


def test_what_changes_between_two_bad_verdicts_is_bad(
    evaluate: Evaluate, add_jobs: AddJobs, trouble: Callable[[], None]
) -> None:
    add_jobs(1, "pending", created_at="now() - interval '20 minutes'")
    assert evaluate() is None

    trouble()
    assert evaluate() == "changed"


def test_who_does_not_take_care_is_told_again(
    evaluate: Evaluate, trouble: Callable[[], None], cli: FlaskCliRunner
) -> None:
    trouble()
    evaluate(), evaluate()
    hours_pass(3.9)
    assert evaluate() is None
    hours_pass(0.2)
    assert [evaluate(), evaluate()] == ["reminder", None]

    said = cli.invoke(args=["jobs", "alerts", "acknowledge", "--by", "ann"])
    assert said.stdout == "Acknowledged by ann; the jobs are unhealthy.\n"
    hours_pass(9)
    assert evaluate() is None


def test_a_change_is_told_although_the_trouble_was_acknowledged(
    evaluate: Evaluate, trouble: Callable[[], None], cli: FlaskCliRunner
) -> None:
    trouble()
    evaluate(), evaluate()
    cli.invoke(args=["jobs", "alerts", "acknowledge"])

    repair()
    assert [evaluate(), evaluate()] == [None, "changed"]
    listed = json.loads(cli.invoke(args=["jobs", "alerts", "list", "--json"]).stdout)
    assert (listed["told"], listed["acknowledged_by"]) == ("healthy", None)


def test_in_silence_nobody_is_told_and_after_it_what_lasts(
    evaluate: Evaluate, trouble: Callable[[], None], cli: FlaskCliRunner
) -> None:
    trouble()
    assert "Silent until" in cli.invoke(args=["jobs", "alerts", "silence", "2h"]).stdout
    assert [evaluate() for _ in range(3)] == [None] * 3

    assert cli.invoke(args=["jobs", "alerts", "silence", "0"]).stdout == "Not silenced.\n"
    assert evaluate() == "changed"


def test_each_channel_has_a_job_of_its_own(
    app: Flask, evaluate: Evaluate, trouble: Callable[[], None]
) -> None:
    app.config.update(ALERT_EMAIL="ops@example.com", ALERT_WEBHOOK_URL="http://127.0.0.1:9/")
    trouble()
    evaluate(), evaluate()

    channels = [row.payload["payload"]["channel"] for row in messages()]
    assert channels == ["email", "slack", "webhook"]


def test_a_repeated_delivery_tells_nobody_twice(
    client: FlaskClient, app: Flask, slack: HttpServer, trouble: Callable[[], None]
) -> None:
    app.config["ALERT_CONFIRMATIONS"] = 1
    trouble()
    job = envelope({}, job_type="evaluate-alerts")

    for _ in range(2):
        assert deliver(client, job, "/api/jobs/alerts").status_code == 200

    assert len(messages()) == 1


def test_what_watches_the_jobs_is_not_among_them(
    evaluate: Evaluate, add_jobs: AddJobs, app: Flask
) -> None:
    app.config["ALERT_CONFIRMATIONS"] = 1
    add_jobs(3, "failed")
    assert evaluate() == "changed"

    failed = messages()[0].payload["payload"]["health"]
    assert (failed["completed"], failed["failed"]) == (0, 3)
    add_jobs(5, "failed", job_type="'send-alert'")
    assert evaluate() is None
