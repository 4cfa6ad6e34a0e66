"""A used-up daily quota: jobs are recorded, wait for its renewal, and are then published."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from app.jobs import PublishUnavailable, enqueue, enqueue_many, schedule
from app.jobs.operate import health
from app.jobs.publish import outbox, quota
from app.jobs.recover.sweep import sweep
from app.local_qstash.settings import Limits
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply, serving
from tests.support.metrics import Scrape
from tests.support.publishing import publishing, served_by
from tests.support.qstash import BASE_URL, deliver, envelope
from tests.support.rows import Rows
from tests.support.waiting import wait_until

GOOD = {"action": "none"}
SECONDS_TO_MIDNIGHT = 5


@pytest.fixture(autouse=True)
def renewed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes begin again without the time over which they are spread."""
    monkeypatch.setattr(quota, "SPREAD", 0.0)


def used_up(reset: float | str) -> Reply:
    names = {"RateLimit-Limit": "1000", "RateLimit-Remaining": "0", "RateLimit-Reset": str(reset)}
    return Reply(429, headers=names)


@pytest.fixture
def limited(app: Flask) -> Iterator[HttpServer]:
    """A QStash whose quota is used up for an hour."""
    with HttpServer() as server:
        server.reply = used_up(int(time.time()) + 3600)
        # What publishes nothing is not limited.
        server.replies["/v2/dlq"] = Reply(body='{"messages": []}')
        with publishing(app, QSTASH_URL=server.url):
            yield server


@pytest.fixture
def small_plan(app: Flask) -> Iterator[LocalQStash]:
    """A local server that takes three messages a day, whose next day begins in seconds."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    speed = max(1.0, (midnight - now).total_seconds() / SECONDS_TO_MIDNIGHT)
    with serving(app) as origin:
        limits = Limits(messages_per_day=3)
        server = LocalQStash(speed=speed, limits=limits, origins={BASE_URL: origin})
        with served_by(app, server):
            yield server


def is_completed(rows: Rows, job_id: str) -> bool:
    return rows[job_id].status == "completed"


def test_jobs_wait_for_the_renewal_and_are_then_published(
    app: Flask, rows: Rows, small_plan: LocalQStash
) -> None:
    accepted = [enqueue("noop", GOOD) for _ in range(3)]
    waiting = [enqueue("noop", GOOD), *enqueue_many("noop", [GOOD, GOOD])]
    used_up_until = quota.used_up()
    assert used_up_until is not None
    assert used_up_until.limit == 3

    report = sweep(grace=0)
    assert report.is_clean
    assert report.quota_until == used_up_until.until.isoformat()
    assert [rows[job].published_at for job in waiting] == [None] * 3

    wait_until(lambda: quota.used_up() is None, "the renewal")
    wait_until(lambda: sweep(grace=0).quota_until is None, "the sweep that publishes")
    for job in [*accepted, *waiting]:
        wait_until(partial(is_completed, rows, job), "the jobs' end")
    assert small_plan.usage.total["published"] == 6


def test_qstash_is_asked_once_however_many_jobs_come(
    app: Flask, rows: Rows, limited: HttpServer
) -> None:
    jobs = [enqueue("sample", GOOD) for _ in range(5)]
    for _ in range(3):
        sweep(grace=0)

    publishes = [got for got in limited.received if "/publish/" in got.path]
    assert len(publishes) == 1
    assert {rows[job].status for job in jobs} == {"pending"}


def test_another_process_hears_of_it_and_of_its_end(
    app: Flask, rows: Rows, limited: HttpServer, small_plan: LocalQStash
) -> None:
    with publishing(app, QSTASH_URL=limited.url):
        job = enqueue("noop", GOOD)
    asked = len(limited.received)
    with publishing(app, QSTASH_URL=limited.url):  # as a process that has asked nothing yet
        assert sweep(grace=0).quota_until
        assert outbox.publisher().quota.closed

        # The plan is upgraded: somebody's sweep asks all the same, and finds that there is room.
        with publishing(app, QSTASH_URL=small_plan.url):
            assert sweep(grace=0, asks=True).published == 1
        assert rows[job].published_at
        sweep(grace=0)
        assert outbox.publisher().quota.closed is None
    assert not [got for got in limited.received[asked:] if "/publish/" in got.path]


def test_it_is_told_wherever_one_looks(
    app: Flask, cli: FlaskCliRunner, limited: HttpServer, scrape: Scrape
) -> None:
    job = enqueue("sample", GOOD)
    said = "QStash's daily quota of 1,000 messages is used up until "

    shown = cli.invoke(args=["jobs", "show", job]).output
    listed = cli.invoke(args=["jobs", "list"]).output
    swept = cli.invoke(args=["jobs", "sweep"])
    doctor = cli.invoke(args=["jobs", "doctor", "--only", "quota"])
    found = health.check()

    assert all(said in " ".join(text.split()) for text in (shown, listed, doctor.output))
    assert "quota is used up until" in swept.output
    assert (swept.exit_code, doctor.exit_code) == (0, 2)
    assert [(one.code, one.message[: len(said)]) for one in found.reasons] == [("quota", said)]
    for command in ("show", "list"):
        args = ["jobs", command, *([job] if command == "show" else []), "--json"]
        answer = json.loads(cli.invoke(args=args).stdout)
        row = answer if command == "show" else answer["jobs"][0]
        assert row["waits_for"].startswith(said)
    until = health.as_json(found)["quotaUsedUpUntil"]
    figures = scrape()
    assert figures["jobs_quota_used_up_until_timestamp_seconds",] == (
        datetime.fromisoformat(until).timestamp()
    )
    assert figures["jobs_last_sweep_timestamp_seconds",] > time.time() - 60


def test_a_leg_under_a_used_up_quota_is_done_and_the_next_one_comes_after_the_renewal(
    app: Flask, client: FlaskClient, rows: Rows, limited: HttpServer
) -> None:
    job = envelope({"action": "legs", "count": 2})
    answer = deliver(client, job, upstash_message_id="msg_1")

    assert (answer.status_code, answer.get_json()) == (200, {"success": True, "continued": 1})
    assert (rows[job["jobId"]].status, rows[job["jobId"]].published_at) == ("pending", None)


@pytest.mark.parametrize("reset", ["", "soon", "9" * 30, "9" * 5000, "0", "-1", str(2**40)])
def test_a_time_that_cannot_be_meant_is_the_next_midnight(reset: str) -> None:
    found = quota.read("1000", reset)
    assert (found.until.hour, found.until.minute, found.until.second) == (0, 0, 0)
    assert timedelta() < found.until - datetime.now(UTC) <= timedelta(days=1)


@pytest.mark.parametrize("limit", [None, "", "many", "-1", "9" * 5000])
def test_a_limit_that_is_no_count_is_not_known(limit: str | None) -> None:
    assert quota.read(limit, "").limit is None


def test_a_plan_without_room_for_a_schedule_or_a_queue_says_so(app: Flask, rows: Rows) -> None:
    with served_by(app, LocalQStash(limits=Limits(schedules=0, queues=0))):
        with pytest.raises(PublishUnavailable, match=r"plan has no room: .*maxSchedules exceeded"):
            schedule("sample", "0 3 * * *", GOOD)
        waiting, sent = enqueue("sample", GOOD, queue="mail"), enqueue("sample", GOOD)
        report = sweep(grace=0)

    assert report.problem is not None
    assert (rows[waiting].published_at, rows[sent].status) == (None, "pending")
    assert rows[sent].published_at
