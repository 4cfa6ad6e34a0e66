"""Unique jobs through a real QStash server and HTTP: what runs, how often, and after what."""

from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from app.db import db
from app.jobs import Unique, enqueue
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import serving
from tests.support.publishing import served_by
from tests.support.qstash import BASE_URL
from tests.support.rows import Rows
from tests.support.sample_jobs import Effect, may_call_out
from tests.support.waiting import wait_until

ONCE_MORE = Unique(fields=("action",), once_more=True)


def effects(job_id: str) -> int:
    db.session.rollback()
    count = select(func.count()).select_from(Effect).where(Effect.job_id == job_id)
    return db.session.scalar(count) or 0


def test_of_debounced_calls_the_last_runs_once_and_not_too_soon(app: Flask, rows: Rows) -> None:
    rule = Unique(fields=("action",), debounce="1s")
    with (
        serving(app) as origin,
        served_by(app, LocalQStash(origins={BASE_URL: origin})),
    ):
        made = [enqueue("sample", {"action": "echo", "count": n}, unique=rule) for n in range(4)]
        assert rows[made[0]].reschedules == 0  # one message so far, however many calls

        wait_until(lambda: rows[made[0]].status == "completed", "the end of the job")

    assert [one.enqueued_as for one in made] == ["new", *["replaced"] * 3]
    row = rows[made[0]]
    assert row.payload["payload"]["count"] == 3
    assert (effects(made[0]), row.retry_count, len(row.attempts)) == (1, 0, 1)
    assert row.available_at is not None
    assert row.started_at is not None
    assert row.started_at >= row.available_at - timedelta(seconds=1)


def test_the_follow_up_begins_when_the_one_before_has_ended(
    app: Flask, rows: Rows, live_qstash: Any
) -> None:
    may_call_out.clear()
    first = enqueue("sample", {"action": "fence"}, unique=ONCE_MORE, timeout=20)
    try:
        wait_until(lambda: rows[first].status == "processing", "the first to run")
        second = enqueue("sample", {"action": "fence"}, unique=ONCE_MORE)
        assert enqueue("sample", {"action": "fence"}, unique=ONCE_MORE) == second
    finally:
        may_call_out.set()

    wait_until(lambda: rows[second].status == "completed", "the follow-up's end")
    ended, begun = rows[first].completed_at, rows[second].started_at
    assert ended is not None
    assert begun is not None
    assert ended <= begun
    assert (effects(first), effects(second)) == (1, 1)
