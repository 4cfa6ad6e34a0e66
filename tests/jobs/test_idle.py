"""An app with nothing to do costs next to nothing: few messages, and no rows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from unittest.mock import ANY

from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from qstash import QStash
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.jobs import enqueue
from app.jobs.operate import health
from app.jobs.recover import sweep, sweep_timer
from app.jobs.table.db import in_transaction
from app.jobs.values.cron import next_runs
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import serving
from tests.support.publishing import NOBODY, publishing, served_by
from tests.support.qstash import BASE_URL, deliver, envelope
from tests.support.rows import Rows, count_rows, row_of
from tests.support.waiting import wait_until

#: How fast time passes at QStash: a day in four seconds, or five minutes in half a second.
A_DAY, MINUTES = 86_400 / 4, 300 / 0.5
A_DAY_MS = 86_400_000
ALERTED = "ALERT_SLACK_URL"
NEVER = datetime.min.replace(tzinfo=UTC)


@contextmanager
def fast_qstash(app: Flask, speed: float) -> Iterator[LocalQStash]:
    """Start a server that delivers to the app, and on which time passes faster."""
    with serving(app) as origin:
        server = LocalQStash(speed=speed, origins={BASE_URL: origin})
        with served_by(app, server):
            yield server


def counted(kind: str) -> int:
    """Return how many messages of a kind are counted that no row tells of."""
    statement = text("SELECT coalesce(sum(messages), 0) FROM job_tallies WHERE kind = :kind")
    return in_transaction(lambda tx: int(tx.execute(statement, {"kind": kind}).scalar_one()))


def firings(cron: str, midnight: datetime) -> int:
    """Count how often a schedule fires in the day that begins then."""
    before, end = midnight - timedelta(minutes=1), midnight + timedelta(days=1)
    return sum(1 for moment in next_runs(cron, 300, before) if moment < end)


def test_a_day_without_work_takes_at_most_48_messages_and_leaves_no_row(
    app: Flask, cli: FlaskCliRunner
) -> None:
    with fast_qstash(app, A_DAY) as server:
        clock = server.server.services.clock
        began = clock.simulated()
        result = cli.invoke(args=["jobs", "schedules", "sync", "--json"])
        midnight = datetime(2026, 11, 29, tzinfo=UTC)
        crons = [change["cron"] for change in json.loads(result.stdout)]
        assert sum(firings(cron, midnight) for cron in crons) == 25

        wait_until(lambda: counted("sweep") and counted("empty run"), "sweeps, and a cleanup")
        days = ceil((clock.simulated() - began) / A_DAY_MS)
        assert server.usage.total.total() <= 48 * days, server.usage.total
        wait_until(lambda: not count_rows(), "the end of what runs")


def test_alerts_are_scheduled_only_where_somebody_is_told_and_leave_no_row_either(
    app: Flask, cli: FlaskCliRunner
) -> None:
    app.config[ALERTED] = f"{NOBODY}/services/secret"
    with fast_qstash(app, MINUTES):
        result = cli.invoke(args=["jobs", "schedules", "sync", "--json"])
        assert any("evaluate-alerts" in change["id"] for change in json.loads(result.stdout))
        wait_until(lambda: counted("empty run") > 1, "evaluations")

        app.config[ALERTED] = ""
        result = cli.invoke(args=["jobs", "schedules", "sync", "--json"])
        assert [change["action"] for change in json.loads(result.stdout)] == ["delete"]
        wait_until(lambda: not count_rows(), "the end of what runs")


def fired(client: FlaskClient) -> TestResponse:
    """Deliver a firing of the cleanup's schedule."""
    body = envelope({"retention": 90}, job_type="cleanup-old-data")
    del body["jobId"]
    body["metadata"]["cron"] = "0 3 * * *"
    about = {"upstash_schedule_id": "nightly", "upstash_message_id": "msg_1"}
    return deliver(client, body, "/api/jobs/cleanup", **about)


def test_a_firing_that_finds_nothing_leaves_a_mark_by_which_health_sees_its_schedule_stop(
    app: Flask, client: FlaskClient
) -> None:
    answer = fired(client)
    assert (answer.status_code, answer.get_json()["result"]) == (200, None)
    assert count_rows() == 0
    assert health.check().reasons == ()

    later = text("UPDATE job_marks SET at = now() - interval '3 days' WHERE name LIKE 'firing %'")
    in_transaction(lambda tx: tx.execute(later))
    assert [reason.code for reason in health.check().reasons] == ["schedule"]


def test_what_a_person_enqueues_or_what_failed_before_leaves_its_row(
    app: Flask, client: FlaskClient
) -> None:
    by_hand = envelope({"retention": 90}, job_type="cleanup-old-data")
    answer = deliver(client, by_hand, "/api/jobs/cleanup")
    assert answer.status_code == 200
    assert row_of(by_hand).result == {"deleted": ANY}


@contextmanager
def timer(app: Flask, every: float) -> Iterator[sweep_timer.Timer]:
    app.config["JOBS_SWEEP_EVERY"] = every
    sweep_timer.init_app(app)
    try:
        yield app.extensions["jobs.timer"]
    finally:
        app.extensions["jobs.timer"].stop()


def swept() -> datetime | None:
    last = sweep.last()
    return last.at if last else None


def next_sweep(after: datetime = NEVER) -> datetime:
    """Return when the next sweep ended, once it has."""

    def found() -> datetime | None:
        at = swept()
        return at if at and at > after else None

    ended = wait_until(found, "the next sweep")
    assert ended is not None
    return ended


def test_processes_take_turns(app: Flask, qstash: QStash) -> None:
    assert sweep.in_turn(60) is not None
    assert sweep.in_turn(60) is None

    passed = text("UPDATE job_marks SET at = at - interval '61 s' WHERE name = 'sweep turn'")
    in_transaction(lambda tx: tx.execute(passed))
    assert sweep.in_turn(60) is not None


def test_a_process_without_requests_and_jobs_sweeps_less_and_less(
    app: Flask, client: FlaskClient, qstash: QStash
) -> None:
    every = 0.05
    with timer(app, every):
        client.get("/")
        moments = [next_sweep()]
        while len(moments) < 7:
            moments.append(next_sweep(moments[-1]))

    assert (moments[-1] - moments[-2]).total_seconds() > 8 * every


def test_traffic_wakes_a_process_that_sweeps_rarely(
    app: Flask, client: FlaskClient, qstash: QStash, rows: Rows
) -> None:
    with timer(app, 0.05):
        client.get("/")
        before = next_sweep()
        with publishing(app, QSTASH_URL=NOBODY):
            job_id = enqueue("sample", {"action": "none"})
        rows.set(job_id, updated_at=text("now() - interval '1 hour'"))
        wait_until(lambda: client.get("/") and rows[job_id].published_at, "a sweep with traffic")
    assert swept() != before
