"""A schedule that stopped firing is noticed, and nothing else is taken for one."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from qstash import QStash

from app.db import db
from app.jobs import schedule
from app.jobs.operate import firings, health
from app.jobs.schedules import own_id
from tests.support.rows import AddJobs
from tests.support.waiting import wait_until


def cron_due(minutes_ago: int) -> str:
    """An hourly cron that was last due so many minutes ago."""
    minute = db.session.scalar(
        db.text("SELECT extract(minute FROM now() - make_interval(mins => :ago))::int"),
        {"ago": minutes_ago},
    )
    return f"{minute} * * * *"


def fired(add_jobs: AddJobs, schedule_id: str, cron: str | None, ago: str, count: int = 1) -> None:
    metadata = {"cron": cron} if cron else {}
    payload = json.dumps({"type": "sample", "metadata": metadata})
    add_jobs(
        count,
        "completed",
        payload=f"'{payload}'",
        schedule_id=f"'{schedule_id}'",
        created_at=f"now() - interval '{ago}'",
        completed_at=f"now() - interval '{ago}'",
    )


def reasons() -> list[str]:
    return [one.message for one in health.check().reasons if one.code == "schedule"]


@pytest.mark.parametrize(
    ("last", "due_ago", "is_missed"),
    [
        ("5 minutes", 5, False),  # as it should
        ("65 minutes", 5, False),  # due, and given time
        ("75 minutes", 15, True),  # due for longer than ten minutes
        ("3 days", 30, True),
        ("40 minutes", 39, False),  # QStash's clock is a little ahead of ours
    ],
)
def test_a_schedule_is_missed_once_its_job_is_overdue(
    app: Flask, add_jobs: AddJobs, last: str, due_ago: int, *, is_missed: bool
) -> None:
    """QStash cannot be asked here, so it is taken to have the schedule still."""
    fired(add_jobs, "hourly", cron_due(due_ago), last, count=3)

    assert [one.schedule_id for one in firings.stopped()] == (["hourly"] if is_missed else [])


def test_the_health_says_since_when(app: Flask, add_jobs: AddJobs) -> None:
    fired(add_jobs, "hourly", "0 * * * *", "5 hours")

    [said] = reasons()
    assert said.startswith("schedule hourly has not fired since 20")
    assert "; its next job was due at 20" in said
    assert health.check().verdict == "degraded"


def test_what_somebody_ran_by_hand_is_no_firing(app: Flask, add_jobs: AddJobs) -> None:
    for schedule_id in ("hourly", "never"):
        payload = json.dumps({"type": "sample", "metadata": {"runBy": "ann"}})
        add_jobs(2, "completed", payload=f"'{payload}'", schedule_id=f"'{schedule_id}'")
    fired(add_jobs, "hourly", "0 * * * *", "5 hours")

    assert [one.schedule_id for one in firings.stopped()] == ["hourly"]


def test_each_schedule_is_looked_at_alone(app: Flask, add_jobs: AddJobs) -> None:
    fired(add_jobs, "a", "0 * * * *", "5 hours", count=2)
    fired(add_jobs, "b", "* * * * *", "1 minutes", count=30)
    fired(add_jobs, "c", "0 0 1 1 *", "1 minutes")
    fired(add_jobs, "d", "no cron", "5 hours")
    fired(add_jobs, "e", None, "5 hours")
    fired(add_jobs, "f", "0 * * * *", "3 days")

    assert [one.schedule_id for one in firings.stopped()] == ["a", "f"]


def test_the_codes_own_schedules_are_known_by_their_declaration(
    app: Flask, add_jobs: AddJobs
) -> None:
    schedule_id = own_id("cleanup-old-data")
    fired(add_jobs, schedule_id, None, "3 days")

    assert [one.schedule_id for one in firings.stopped()] == [schedule_id]


def test_what_nobody_wants_any_more_is_not_missed(
    app: Flask, qstash: QStash, add_jobs: AddJobs
) -> None:
    cron = "0 * * * *"
    for name in ("kept", "paused"):
        schedule("sample", cron, {"action": "x"}, schedule_id=name)
    for name in ("kept", "paused", "deleted"):
        fired(add_jobs, name, cron, "5 hours")
    qstash.schedule.pause("paused")

    # Made anew just now, they have until the next hour.
    assert firings.stopped() == []

    made_long_ago(app, qstash)
    assert [one.schedule_id for one in firings.stopped()] == ["kept"]


def made_long_ago(app: Flask, qstash: QStash) -> None:
    """Have QStash say that its schedules are old; the clock of its server cannot be set."""
    publisher = app.extensions["jobs"].publisher
    ask = publisher.call

    def asked(question: Any) -> Any:
        found = ask(question)
        for one in found:
            one.created_at = 0
        return found

    publisher.call = asked


def test_a_firing_brings_the_cron_of_its_schedule_along(app: Flask, live_qstash: QStash) -> None:
    schedule_id = schedule("sample", "* * * * *", {"action": "none"}, timezone="Europe/Berlin")

    query = db.text("SELECT cron FROM (%s) AS latest" % firings.LATEST.text)  # noqa: UP031, S608
    wait_until(lambda: db.session.execute(query, {"limit": 5}).scalars().all(), "the first firing")
    assert db.session.execute(query, {"limit": 5}).scalars().all() == [
        "CRON_TZ=Europe/Berlin * * * * *"
    ]
    live_qstash.schedule.delete(schedule_id)


def test_the_doctor_tells_too(cli: FlaskCliRunner, add_jobs: AddJobs) -> None:
    fired(add_jobs, "hourly", "0 * * * *", "5 hours")

    said = cli.invoke(args=["jobs", "doctor", "--only", "firings"])

    assert "schedule hourly has not fired since" in said.stdout
    assert "flask jobs schedules list" in said.stdout


def test_no_part_of_it_scans_the_table(app: Flask) -> None:
    for avoided in ("enable_seqscan", "enable_sort"):
        db.session.execute(db.text(f"SET LOCAL {avoided} = off"))
    lines = db.session.scalars(db.text(f"EXPLAIN {firings.LATEST.text}"), {"limit": 5}).all()

    assert "Seq Scan on job_executions" not in "\n".join(lines)
    assert "Sort" not in "\n".join(lines)
