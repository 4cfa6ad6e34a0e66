"""Our table and QStash are compared both ways, and what differs is repaired."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from qstash import QStash
from sqlalchemy import text

from app.jobs import Status, enqueue
from app.jobs.operate.reconcile import differences
from app.jobs.schedules import own_id
from tests.support.rows import Rows
from tests.support.waiting import wait_until

GOOD = {"action": "none"}
LONG_AGO = text("now() - interval '1 hour'")


def reconcile(cli: FlaskCliRunner, *args: str) -> list[tuple[str, str, bool]]:
    """Return kind, subject and whether it was repaired, apart from schedules."""
    result = cli.invoke(args=["jobs", "reconcile", "--json", *args])
    assert result.exit_code in {0, 1}, result.output
    found = json.loads(result.stdout)
    return [
        (one["kind"], one["subject"], one["mended"]) for one in found if one["kind"] != "schedule"
    ]


def recorded(rows: Rows, **values: Any) -> str:
    job_id = enqueue("sample", GOOD, delay=3600)
    rows.set(job_id, **{"updated_at": LONG_AGO, **values})
    return job_id


def test_no_difference_is_said(cli: FlaskCliRunner, rows: Rows, qstash: QStash) -> None:
    recorded(rows)
    cli.invoke(args=["jobs", "schedules", "sync"])

    result = cli.invoke(args=["jobs", "reconcile"])

    assert (result.exit_code, result.output) == (0, "No differences.\n")


def test_a_job_whose_message_qstash_lost_is_published_anew(
    cli: FlaskCliRunner, rows: Rows, qstash: QStash
) -> None:
    for status in ("pending", "failed"):
        job_id = recorded(rows, status=status, message_id="msg_lost")

        assert reconcile(cli) == [("lost", job_id, True)]

        row = rows[job_id]
        assert (row.status, row.reschedules) == (Status.PENDING, 1)
        message = qstash.message.get(row.message_id or "")
        assert (message.not_before - message.created_at) / 1000 > 3590
        assert reconcile(cli) == []


def test_a_dry_run_lists_and_changes_nothing(
    cli: FlaskCliRunner, rows: Rows, qstash: QStash
) -> None:
    lost = recorded(rows, message_id="msg_lost")
    unpublished = recorded(rows, published_at=None, message_id=None)

    for _ in range(2):
        assert reconcile(cli, "--dry-run") == [
            ("unpublished", unpublished, False),
            ("lost", lost, False),
        ]
    result = cli.invoke(args=["jobs", "reconcile", "--dry-run"])
    assert result.exit_code == 1
    assert f"{lost}  pending here, but QStash has no message msg_lost" in result.output
    assert "publish again (not repaired)" in result.output
    assert qstash.schedule.list() == []


def test_what_was_never_published_is(cli: FlaskCliRunner, rows: Rows, qstash: QStash) -> None:
    job_id = recorded(rows, published_at=None, message_id=None)

    assert reconcile(cli) == [("unpublished", job_id, True)]
    assert rows[job_id].published_at is not None


def test_a_dead_letter_of_whatever_age_is_taken_over(
    cli: FlaskCliRunner, rows: Rows, qstash: QStash
) -> None:
    job_id = enqueue("sample", GOOD, retries=0)
    wait_until(lambda: dead_letters(qstash), "the dead letter")

    assert reconcile(cli) == [("dead-letter", job_id, True)]
    assert rows[job_id].dead_at is not None


def test_the_dead_letter_of_a_completed_job_is_deleted(
    cli: FlaskCliRunner, rows: Rows, qstash: QStash
) -> None:
    """The job was completed, but QStash never heard its answer."""
    job_id = enqueue("sample", GOOD, retries=0)
    wait_until(lambda: dead_letters(qstash), "the dead letter")
    rows.set(job_id, status="completed")

    assert reconcile(cli) == [("needless-letter", job_id, True)]
    assert dead_letters(qstash) == []


def test_a_job_of_an_unknown_type_is_left_to_a_person(
    cli: FlaskCliRunner, rows: Rows, qstash: QStash
) -> None:
    job_id = recorded(rows, job_type="of-yesterday", published_at=None, message_id=None)

    assert reconcile(cli) == [("unknown-type", job_id, False)]
    assert rows[job_id].status == Status.PENDING


@pytest.mark.usefixtures("only_maintenance")
def test_schedules_are_synced(cli: FlaskCliRunner, app: Flask, qstash: QStash) -> None:
    result = cli.invoke(args=["jobs", "reconcile"])

    assert result.exit_code == 0
    assert "create the schedule (repaired)" in result.output
    assert [found.schedule_id for found in qstash.schedule.list()] == [own_id("jobs-maintenance")]


def test_a_change_since_the_comparison_is_not_overwritten(
    app: Flask, rows: Rows, qstash: QStash
) -> None:

    job_id = recorded(rows, message_id="msg_lost")
    lost = next(one for one in differences() if one.subject == job_id)
    rows.set(job_id, status="completed", updated_at=text("now()"))

    assert lost.apply is not None
    assert lost.apply()
    assert rows[job_id].status == Status.COMPLETED


def test_qstash_away_is_one_line(cli: FlaskCliRunner) -> None:
    result = cli.invoke(args=["jobs", "reconcile"])

    assert result.exit_code == 2
    assert "cannot be reached" in result.stderr


def dead_letters(qstash: QStash) -> list[Any]:
    """Return those of jobs; the failure callback has its own, as nobody answers here."""
    found = qstash.dlq.list().messages
    return [letter for letter in found if letter.url.endswith("/sample")]
