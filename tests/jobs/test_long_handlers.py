"""Progress, heartbeat, cancel and a graceful stop, as a handler that takes its time meets them."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import text

from app.db import db
from app.jobs import Status, deadline, enqueue
from app.jobs.errors import ShuttingDown
from app.jobs.execute import shutdown
from app.jobs.execute.delivery import parse
from app.jobs.registry import get_job_config
from app.jobs.table import attempts
from app.jobs.table.job_rows import create_job_execution, get_job_execution_by_job_id
from app.jobs.table.memory import Token
from tests.support.qstash import deliver, envelope
from tests.support.rows import row_of
from tests.support.sample_jobs import called_out, may_call_out
from tests.support.waiting import wait_until

CANCEL = "UPDATE job_executions SET cancelled_at = now() WHERE job_id = :id"


def is_processing(job: dict[str, Any]) -> bool:
    db.session.rollback()
    row = get_job_execution_by_job_id(job["jobId"])
    return row is not None and row.status == Status.PROCESSING


def execute(sql: str, job: dict[str, Any]) -> None:
    with db.engine.begin() as connection:
        connection.execute(text(sql), {"id": job["jobId"]})


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def started(app: Flask, threads: ThreadPoolExecutor, job: dict[str, Any]) -> Future[Any]:
    """Deliver in another thread and wait until the handler runs."""
    path = "/api/jobs/beating" if job["type"] == "beating" else "/api/jobs/sample"
    running = threads.submit(deliver, app.test_client(), job, path)
    wait_until(lambda: is_processing(job), "the claim")
    return running


def test_progress_is_kept_on_the_row(client: FlaskClient) -> None:
    job = envelope({"action": "progress", "count": 3})

    deliver(client, job)

    assert row_of(job).progress == {"done": 3, "total": 3, "note": "counting"}


def test_progress_is_written_at_most_once_a_second(
    client: FlaskClient, statements: list[str]
) -> None:
    deliver(client, envelope({"action": "progress", "count": 10_000}))

    assert sum("SET progress" in statement for statement in statements) == 2  # first and last


def test_progress_without_a_known_end_is_not_written_more_often(
    client: FlaskClient, statements: list[str]
) -> None:
    """Its total grows with what is done, so that it seems done at each call."""
    job = envelope({"action": "growing", "count": 1000})

    deliver(client, job)

    assert sum("SET progress" in statement for statement in statements) == 1
    assert row_of(job).progress == {"done": 1000, "total": 1000, "note": None}


def test_a_cancelled_handler_stops_and_its_work_rolls_back(
    app: Flask, threads: ThreadPoolExecutor
) -> None:
    job = envelope({"action": "check"})
    running = started(app, threads, job)

    execute(CANCEL, job)

    assert running.result().json == {"success": True, "skipped": "cancelled"}
    row = row_of(job)
    assert (row.status, row.attempts[-1]["outcome"]) == (Status.CANCELLED, "cancelled")
    assert db.session.scalar(text("SELECT count(*) FROM effects")) == 0


def test_a_failing_handler_that_was_cancelled_is_not_tried_again(
    app: Flask, threads: ThreadPoolExecutor
) -> None:
    """It never asked, and ran out of its time."""
    job = envelope({"action": "spin"})
    running = started(app, threads, job)

    execute(CANCEL, job)

    assert running.result().status_code == 500
    assert row_of(job).status == Status.CANCELLED
    assert deliver(app.test_client(), job).json == {"success": True, "skipped": "cancelled"}


def test_a_handler_whose_lease_was_taken_over_stops(
    app: Flask, threads: ThreadPoolExecutor
) -> None:
    job = envelope({"action": "check"})
    running = started(app, threads, job)

    execute("UPDATE job_executions SET lease_token = gen_random_uuid() WHERE job_id = :id", job)

    assert running.result().status_code == 503
    assert row_of(job).status == Status.PROCESSING


def test_a_type_with_a_heartbeat_has_a_short_lease_that_is_extended(
    app: Flask, threads: ThreadPoolExecutor
) -> None:
    """Its timeout is an hour; a process that dies frees the job within seconds all the same."""
    job = envelope({"action": "check"}, job_type="beating")
    running = started(app, threads, job)

    assert lease_left(job) < 60
    execute("UPDATE job_executions SET lease_expires_at = now() WHERE job_id = :id", job)
    wait_until(lambda: lease_left(job) > 10, "the lease's extension")

    execute(CANCEL, job)
    running.result()


def lease_left(job: dict[str, Any]) -> float:
    left = "SELECT extract(epoch FROM lease_expires_at - now()) FROM job_executions"
    db.session.rollback()
    return float(db.session.scalar(text(f"{left} WHERE job_id = :id"), {"id": job["jobId"]}))


def test_a_handler_that_outlives_the_grace_period_goes_back_to_the_queue(
    app: Flask, threads: ThreadPoolExecutor
) -> None:
    job = envelope({"action": "check"})
    running = started(app, threads, job)

    assert deadline.interrupt_all(ShuttingDown) == 1

    # QStash is away in this test, so the present message is to come again.
    assert running.result().status_code == 500
    row = row_of(job)
    assert (row.status, row.dead_at, row.published_at) == (Status.PENDING, None, None)
    assert row.attempts[-1]["outcome"] == "released"
    assert "told to stop" in (row.error or "")


def test_a_draining_process_takes_no_new_delivery(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by `shutdown.begin`: the end of its grace period would interrupt another test's handler.
    draining = Event()
    draining.set()
    monkeypatch.setattr(shutdown, "draining", draining)
    job = envelope({"action": "none"})

    response = deliver(client, job)

    assert (response.status_code, "Retry-After" in response.headers) == (503, True)
    assert get_job_execution_by_job_id(job["jobId"]) is None


@pytest.fixture
def draining(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event()
    event.set()
    monkeypatch.setattr(shutdown, "draining", event)


@pytest.mark.usefixtures("draining", "qstash")
@pytest.mark.parametrize(("retries", "retried"), [(0, 0), (2, 2)])
def test_fault_R12_a_draining_process_puts_back_what_has_no_tries_left(
    client: FlaskClient, retries: int, retried: int
) -> None:
    """A 503 would be its death, though it never ran."""
    job_id = enqueue("sample", {"action": "none"}, retries=retries)
    message = row_of({"jobId": job_id}).message_id
    assert message
    job = row_of({"jobId": job_id}).payload

    answer = deliver(client, job, upstash_message_id=message, upstash_retried=str(retried))

    assert (answer.status_code, answer.json) == (200, {"success": True, "rescheduled": 5})
    row = row_of({"jobId": job_id})
    assert (row.status, row.dead_at, row.message_id == message) == ("pending", None, False)
    assert row.published_at is not None
    assert row.attempts[-1]["outcome"] == "released"


@pytest.mark.usefixtures("draining")
def test_fault_R12_what_has_tries_left_is_turned_away_without_a_trace(client: FlaskClient) -> None:
    job_id = enqueue("sample", {"action": "none"}, retries=1)
    job = row_of({"jobId": job_id}).payload

    assert deliver(client, job, upstash_retried="0").status_code == 503
    assert row_of({"jobId": job_id}).attempts == []


@pytest.mark.usefixtures("draining")
def test_fault_R12_stops_do_not_count_as_what_the_handler_asked_for(
    app: Flask, client: FlaskClient
) -> None:
    app.config["JOBS_MAX_RESCHEDULES"] = 0
    job_id = enqueue("sample", {"action": "none"}, retries=0)

    deliver(client, row_of({"jobId": job_id}).payload)

    assert (row_of({"jobId": job_id}).status, row_of({"jobId": job_id}).dead_at) == (
        "pending",
        None,
    )


@pytest.fixture
def _outside() -> None:
    may_call_out.clear()
    called_out.clear()


TAKE_OVER = "UPDATE job_executions SET lease_token = gen_random_uuid() WHERE job_id = :id"


@pytest.mark.usefixtures("_outside")
def test_fault_R15_D7_a_fence_before_an_outside_call_notices_at_once(
    app: Flask, threads: ThreadPoolExecutor
) -> None:
    job = envelope({"action": "fence"})
    running = started(app, threads, job)
    execute(TAKE_OVER, job)
    may_call_out.set()

    assert running.result().status_code == 503
    assert not called_out


@pytest.mark.usefixtures("_outside")
def test_fault_R15_D7_a_fence_keeps_the_lease_and_lets_its_owner_pass(
    client: FlaskClient,
) -> None:
    may_call_out.set()

    assert deliver(client, envelope({"action": "fence"})).status_code == 200
    assert called_out


def test_fault_R15_D7_a_flush_notices_a_lost_lease(app: Flask, threads: ThreadPoolExecutor) -> None:
    job = envelope({"action": "flush"})
    running = started(app, threads, job)

    execute(TAKE_OVER, job)

    # Long before its time is up, which would be a failure's 500.
    assert running.result().status_code == 503


def test_fault_R15_a_handler_that_gives_no_sign_of_life_stops_when_its_lease_is_over(
    app: Flask, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.table.attempt_sql.LEASE_MARGIN", -4.5)  # of the local clock
    job = envelope({"action": "silent"}, job_type="beating")

    answer = deliver(app.test_client(), job, "/api/jobs/beating")

    assert answer.status_code == 500
    row = row_of(job)
    assert (row.status, row.attempts[-1]["kind"]) == ("failed", "HandlerSilent")
    assert "job.check()" in (row.error or "")


@pytest.mark.parametrize(("acts_outside", "mode"), [(True, "on"), (False, "off")])
def test_fault_R15_a_type_that_acts_outside_has_its_claims_on_disk_first(
    app: Flask, *, acts_outside: bool, mode: str
) -> None:
    config = replace(get_job_config("noop"), acts_outside=acts_outside)
    raw = json.dumps(envelope({"action": "none"}, job_type="noop"))
    with app.test_request_context("/api/jobs/noop", method="POST", data=raw):
        g.jobs_token = Token(digest="0" * 64, issued_at=None, expires_at=datetime.now(UTC))
        attempt = attempts.Attempt(config)
        attempt.delivery = parse(config)

    with db.engine.begin() as connection:
        create_job_execution(connection, attempt.row)
        assert attempts.claim(attempts.within(connection), attempt)
        assert connection.scalar(text("SHOW synchronous_commit")) == mode
