"""What crashes and outages leave behind is put right by a sweep, however many run at once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask, current_app
from flask.testing import FlaskClient, FlaskCliRunner
from qstash import QStash
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from app.api import keys
from app.db import db
from app.jobs import PublishUnavailable, Status, enqueue, schedule
from app.jobs import testing as job_testing
from app.jobs.execute.delivery import firing_id
from app.jobs.message import Message
from app.jobs.recover import given_up, sweep_timer
from app.jobs.recover import sweep as maintenance
from app.jobs.recover.given_up import GivenUpMessage, GiveUpResult
from app.jobs.recover.report import SweepReport
from app.jobs.recover.sweep import sweep
from app.jobs.table.retention import FinishedJobs
from app.jobs.testing import wire
from app.jobs.testing.in_memory import InMemoryPublisher
from app.local_qstash.testing import LocalQStash
from tests.support.failure_callback import PATH as CALLBACK
from tests.support.failure_callback import report as report_of
from tests.support.http_server import HttpServer, Reply
from tests.support.metrics import Scrape
from tests.support.publishing import NOBODY, publishing, served_by
from tests.support.qstash import BASE_URL, deliver, envelope
from tests.support.rows import Rows
from tests.support.waiting import wait_until

GOOD = {"action": "none"}
LONG_AGO = text("now() - interval '1 hour'")
ROOT = Path(__file__).parents[2]


def left_behind(rows: Rows, **options: Any) -> str:
    """Return a job that was recorded an hour ago, while QStash was away."""
    with publishing(current_app, QSTASH_URL=NOBODY):
        job_id = enqueue("sample", GOOD, **options)
    rows.set(job_id, updated_at=LONG_AGO)
    return job_id


def died(rows: Rows, *, lost: int = 0, **values: Any) -> str:
    """Return a job whose process died, after as many lost attempts as said."""
    job_id = enqueue("sample", GOOD)
    before = [{"number": n + 1, "outcome": "lost"} for n in range(lost)]
    claimed = {"lease_token": str(uuid4()), "lease_expires_at": LONG_AGO, "attempts": before}
    published = {"message_id": "msg_old", "published_at": LONG_AGO, "max_retries": 3}
    rows.set(job_id, **{"status": "processing", **claimed, **published, **values})
    return job_id


def created(qstash: QStash) -> list[str]:
    """Return the ids of all messages that QStash took."""
    events = qstash.http.request(path="/v2/events?state=CREATED", method="GET")["events"]
    return [event["messageId"] for event in events]


def test_nothing_to_do_is_said(cli: FlaskCliRunner, qstash: QStash) -> None:
    result = cli.invoke(args=["jobs", "sweep"])

    assert (result.exit_code, result.output) == (0, "nothing to do\n")


def test_a_job_that_was_never_published_is(rows: Rows, qstash: QStash, cli: FlaskCliRunner) -> None:
    job_id = left_behind(rows)

    result = cli.invoke(args=["jobs", "sweep", "--json"])

    assert json.loads(result.output)["published"] == 1
    assert rows[job_id].published_at is not None
    assert created(qstash) == [rows[job_id].message_id]


def test_what_is_left_of_its_delay_is_waited(rows: Rows, qstash: QStash) -> None:
    job_id = left_behind(rows, delay=3600)
    rows.set(job_id, available_at=text("now() + interval '600 s'"), updated_at=LONG_AGO)

    sweep()

    message = qstash.message.get(rows[job_id].message_id or "")
    assert 598 <= (message.not_before - message.created_at) / 1000 <= 601


def test_a_repetition_is_dropped_by_qstash(rows: Rows, qstash: QStash) -> None:
    """The first publish arrived, but its answer was lost."""
    job_id = enqueue("sample", GOOD, delay=3600)
    first = rows[job_id].message_id
    rows.set(job_id, message_id=None, published_at=None, updated_at=LONG_AGO)

    assert sweep().published == 1

    assert rows[job_id].message_id == first
    assert len(created(qstash)) == 1


def test_an_enqueue_in_progress_is_left_alone(rows: Rows, qstash: QStash) -> None:
    job_id = left_behind(rows)
    rows.set(job_id, updated_at=text("now() - interval '20 s'"))

    assert sweep() == SweepReport()
    assert sweep(grace=10).published == 1


def test_rows_of_others_are_left_alone(rows: Rows, qstash: QStash) -> None:
    """The TypeScript starter publishes its own; a type of a newer version has no endpoint."""
    for values in ({"max_retries": None}, {"job_type": "of-tomorrow"}):
        rows.set(left_behind(rows), **values)

    assert sweep() == SweepReport()


def test_qstash_away_ends_the_sweep_and_loses_nothing(rows: Rows, cli: FlaskCliRunner) -> None:
    job_id = left_behind(rows)

    result = cli.invoke(args=["jobs", "sweep"])

    assert result.exit_code == 1
    assert "jobs that could not be published: 1; the log says why" in result.output
    assert (rows[job_id].status, rows[job_id].published_at) == (Status.PENDING, None)


def test_a_refusal_is_dead(app: Flask, rows: Rows) -> None:
    job_id = left_behind(rows)
    refusal = Reply(413, '{"error": "quota exceeded"}')
    with HttpServer(refusal) as server, publishing(app, QSTASH_URL=server.url):
        report = sweep()

    assert report.refused == 1
    assert rows[job_id].dead_at is not None
    assert "quota exceeded" in (rows[job_id].error or "")


def test_many_sweeps_at_once_publish_each_job_once(app: Flask, rows: Rows, qstash: QStash) -> None:
    for _ in range(20):
        left_behind(rows, delay=3600)

    def run(_: int) -> SweepReport:
        with app.app_context():
            return sweep()

    with ThreadPoolExecutor(6) as threads:
        reports = list(threads.map(run, range(6)))

    assert sum(report.published for report in reports) == 20
    assert len(created(qstash)) == 20


def test_a_job_whose_process_died_is_published_anew(rows: Rows, qstash: QStash) -> None:
    job_id = died(rows)

    assert sweep().rescued == 1

    row = rows[job_id]
    assert (row.status, row.reschedules, row.lease_token) == (Status.PENDING, 1, None)
    assert [attempt["outcome"] for attempt in row.attempts] == ["lost"]
    assert row.message_id not in {None, "msg_old"}


def test_the_message_that_brought_it_is_forgotten(rows: Rows, qstash: QStash) -> None:
    job_id = died(rows)
    old = qstash.message.publish(url=f"{BASE_URL}/api/jobs/sample", body="{}", delay="1h")
    rows.set(job_id, message_id=old.message_id)  # type: ignore[union-attr]

    sweep()

    url = f"/v2/events?state=CANCEL_REQUESTED&messageId={old.message_id}"  # type: ignore[union-attr]
    assert len(qstash.http.request(path=url, method="GET")["events"]) == 1


@pytest.mark.parametrize("ends", ["now() + interval '5 s'", "now() - interval '20 s'"])
def test_a_lease_that_may_live_is_left_alone(rows: Rows, qstash: QStash, ends: str) -> None:
    died(rows, lease_expires_at=text(ends))

    assert sweep() == SweepReport()


def test_a_job_that_kills_its_process_is_dead_in_the_end(rows: Rows, qstash: QStash) -> None:
    job_id = died(rows, lost=3)

    assert sweep().abandoned == 1

    row = rows[job_id]
    assert (row.status, row.dead_at is not None) == (Status.FAILED, True)
    assert row.error == (
        "the process died or was cut off 4 times, which is more often than the retries allow"
    )


def test_a_job_that_was_to_be_cancelled_is(rows: Rows, qstash: QStash) -> None:
    job_id = died(rows, cancelled_at=LONG_AGO)

    assert sweep().cancelled == 1
    assert rows[job_id].status == Status.CANCELLED


def test_a_zombie_cannot_complete_what_was_rescued(
    rows: Rows, qstash: QStash, client: FlaskClient
) -> None:
    job_id = died(rows)
    sweep()

    assert deliver(client, envelope(GOOD, jobId=job_id)).status_code == 200
    assert rows[job_id].status == Status.COMPLETED


def test_a_job_that_qstash_gave_up_unheard_is_dead(rows: Rows, qstash: QStash) -> None:
    job_id = enqueue("sample", GOOD, retries=0, failure_callback="https://app.example.com/failed")
    wait_until(lambda: letters(qstash, "sample"), "the dead letter")

    assert sweep().dead_letters == 1
    assert sweep() == SweepReport()

    row = rows[job_id]
    assert (row.status, row.dead_at is not None) == (Status.FAILED, True)
    assert row.error == "QStash gave up: the last got no answer"
    assert len(created(qstash)) == 3  # the job, our failure callback, the caller's


def test_a_firing_that_was_never_seen_gets_a_row(app: Flask, rows: Rows) -> None:
    server = LocalQStash(speed=1000, origins={BASE_URL: "http://127.0.0.1:9"})
    with served_by(app, server) as qstash:
        schedule("sample", "* * * * *", GOOD, schedule_id="nightly", retries=0)
        wait_until(lambda: letters(qstash, "sample"), "the dead letter")
        fired = letters(qstash, "sample")[0]
        assert sweep().dead_letters >= 1

    row = rows[firing_id(fired.message_id)]
    assert (row.schedule_id, row.status) == ("nightly", Status.FAILED)


def test_what_is_no_job_is_left_to_qstash(rows: Rows, qstash: QStash) -> None:
    qstash.message.publish(url=f"{BASE_URL}/api/jobs/sample", body="{", retries=0)
    wait_until(lambda: letters(qstash, "sample"), "the dead letter")

    assert sweep() == SweepReport()


def test_a_job_of_another_producer_gets_a_row(rows: Rows, qstash: QStash) -> None:
    job = envelope(GOOD)
    qstash.message.publish_json(url=f"{BASE_URL}/api/jobs/sample", body=job, retries=0)
    wait_until(lambda: letters(qstash, "sample"), "the dead letter")

    assert sweep().dead_letters == 1
    assert rows[job["jobId"]].status == Status.FAILED


def test_only_qstash_may_call_the_endpoint(client: FlaskClient) -> None:
    assert client.post("/api/jobs/maintenance").status_code == 401


def test_a_schedule_of_qstash_runs_it(client: FlaskClient, rows: Rows, qstash: QStash) -> None:
    left_behind(rows)

    answer = deliver(client, b"", "/api/jobs/maintenance")

    assert answer.json is not None
    assert (answer.json["success"], answer.json["published"]) == (True, 1)


def test_no_database_is_answered_503(client: FlaskClient, no_database: None) -> None:
    assert deliver(client, b"", "/api/jobs/maintenance").status_code == 503


def test_the_timer_sweeps_from_the_first_request_on(app: Flask, rows: Rows, qstash: QStash) -> None:
    job_id = left_behind(rows)
    app.config["JOBS_SWEEP_EVERY"] = 0.02
    sweep_timer.init_app(app)
    try:
        app.test_client().get("/")
        wait_until(lambda: rows[job_id].published_at, "the timer's sweep")
    finally:
        app.extensions["jobs.timer"].stop()


def test_the_command_runs_until_it_is_told_to_stop(app: Flask, rows: Rows, qstash: QStash) -> None:
    job_id = left_behind(rows)
    command = [sys.executable, "-m", "flask", "jobs", "sweep", "--every", "1s", "--json"]
    settings = {
        "DATABASE_URL": app.config["SQLALCHEMY_DATABASE_URI"],
        "QSTASH_URL": app.config["QSTASH_URL"],
    }
    rows.set(job_id, job_type="send-email")  # a type that the command's app knows
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings})  # noqa: S603 - ours
    try:
        wait_until(lambda: rows[job_id].published_at, "the command's sweep")
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.parametrize("option", ["--every", "--grace"])
def test_a_bad_duration_is_one_line(cli: FlaskCliRunner, option: str) -> None:
    result = cli.invoke(args=["jobs", "sweep", option, "soon"])

    assert result.exit_code == 2
    assert "'soon' is not a duration" in result.stderr


def letters(qstash: QStash, endpoint: str) -> list[Any]:
    found = qstash.dlq.list().messages
    return [letter for letter in found if letter.url == f"{BASE_URL}/api/jobs/{endpoint}"]


@pytest.mark.parametrize("make", [left_behind, died])
def test_a_sweep_passes_over_what_another_holds(
    app: Flask, rows: Rows, qstash: QStash, make: Callable[[Rows], str]
) -> None:
    held, free = make(rows), make(rows)

    def run() -> SweepReport:
        with app.app_context():
            return sweep()

    with ThreadPoolExecutor(1) as threads, db.engine.connect() as other:
        lock = text("SELECT 1 FROM job_executions WHERE job_id = :id FOR UPDATE")
        other.execute(lock, {"id": held})
        swept = threads.submit(run)
        try:
            assert swept.result(10) in (SweepReport(published=1), SweepReport(rescued=1))
        finally:
            other.rollback()
    assert rows[free].published_at is not None
    assert rows[held].published_at is None or rows[held].status == Status.PROCESSING


@pytest.fixture
def unbounded(app: Flask) -> Iterator[None]:
    """A table without the constraint that keeps rows readable, as it was before."""
    name = "ck_job_executions_available_at"
    found = text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")
    definition = db.session.scalar(found, {"name": name})
    db.session.execute(text(f"ALTER TABLE job_executions DROP CONSTRAINT {name}"))
    db.session.commit()
    yield
    db.session.rollback()
    db.session.execute(text("DELETE FROM job_executions"))
    db.session.execute(text(f"ALTER TABLE job_executions ADD CONSTRAINT {name} {definition}"))
    db.session.commit()


@pytest.mark.usefixtures("unbounded", "qstash")
@pytest.mark.parametrize("moment", ["20000-01-01", "0050-01-01 BC", "infinity", "-infinity"])
def test_fault_D14_R3_a_row_beyond_the_calendar_stops_nobody(
    cli: FlaskCliRunner, client: FlaskClient, rows: Rows, scrape: Scrape, moment: str
) -> None:
    bad, *good = [left_behind(rows) for _ in range(4)]
    at = text(f"timestamptz '{moment}'")
    rows.set(bad, available_at=at, updated_at=LONG_AGO)

    assert cli.invoke(args=["jobs", "reconcile", "--dry-run"]).exit_code == 1
    answer = deliver(client, b"", "/api/jobs/maintenance")

    assert answer.status_code == 200
    assert all(rows[job_id].published_at for job_id in good)
    for command in ("list", "list --json", "health", f"show {bad}", "stats", "sweep"):
        result = cli.invoke(args=["jobs", *command.split()])
        assert isinstance(result.exception, SystemExit | None), command
    assert scrape()["jobs_queue_depth", "pending", "sample"] >= 3


def test_fault_R3_no_row_beyond_the_calendar_can_be_written(rows: Rows) -> None:
    job_id = left_behind(rows)

    for moment in ("infinity", "-infinity", "9999-12-31", "1969-01-01"):
        with pytest.raises(IntegrityError, match="ck_job_executions_available_at"):
            rows.set(job_id, available_at=text(f"timestamptz '{moment}'"))
        db.session.rollback()


@pytest.mark.parametrize(
    "broken",
    [
        {"options": [1]},
        {"options": {"headers": 5}},
        {"options": {"timeout": "soon"}},
        {"options": {"flow_control": {}}},
        {"options": {"queue": 5, "headers": None}},
    ],
)
def test_fault_R3_a_row_that_cannot_be_published_is_dead_and_the_others_are_published(
    rows: Rows, qstash: QStash, broken: Any
) -> None:
    bad, *good = [left_behind(rows) for _ in range(4)]
    rows.set(bad, **broken, updated_at=LONG_AGO)

    report = sweep()

    assert (report.published, report.refused) == (3, 1)
    assert all(rows[job_id].published_at for job_id in good)
    assert rows[bad].dead_at is not None
    assert "cannot be" in (rows[bad].error or "")


def test_fault_R3_a_row_that_cannot_be_taken_is_set_aside_by_name(
    rows: Rows, qstash: QStash, cli: FlaskCliRunner
) -> None:
    bad, *good = [died(rows) for _ in range(4)]
    rows.set(bad, attempts={"not": "a list"})

    result = cli.invoke(args=["jobs", "sweep"])

    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == f"rescued 3, set aside 1 ({bad})"
    assert all(rows[job_id].published_at for job_id in good)
    assert rows[bad].status == Status.PROCESSING


class Picky(InMemoryPublisher):
    """A QStash, or a proxy before it, that turns some messages away."""

    status = 403

    def __init__(self, base_url: str, away: Sequence[str]) -> None:
        super().__init__(base_url=base_url)
        self.away = away

    def publish(self, message: Message) -> str:
        if message.job_id in self.away:
            raise PublishUnavailable("forbidden", status=self.status)
        return super().publish(message)


def test_fault_R3_R13_a_message_that_is_turned_away_holds_up_no_other(
    app: Flask, rows: Rows
) -> None:
    jobs = [left_behind(rows) for _ in range(6)]
    picky = Picky(app.config["BASE_URL"], jobs[:3])
    app.extensions["jobs"] = replace(app.extensions["jobs"], publisher=picky)

    report = sweep()

    assert report.published == 3
    assert report.problem == "jobs that could not be published: 3; the log says why"
    assert [rows[job_id].status for job_id in jobs[:3]] == [Status.PENDING] * 3


def test_fault_R3_a_dead_letter_that_cannot_be_recorded_stops_no_other(
    rows: Rows, qstash: QStash, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = [enqueue("sample", GOOD, retries=0) for _ in range(2)]
    wait_until(lambda: len(letters(qstash, "sample")) == 2, "the dead letters")
    record = given_up.record

    def fail(connection: Connection, letter: GivenUpMessage) -> GiveUpResult:
        if letter.job_id == bad:
            connection.execute(text("SELECT 1/0"))
        return record(connection, letter)

    monkeypatch.setattr(given_up, "record", fail)

    report = sweep()

    assert (report.dead_letters, report.set_aside) == (1, [bad])
    assert rows[good].dead_at is not None


def test_fault_R3_sweeping_again_and_again_outlives_every_exception(
    cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps: list[int] = []

    def once(**_: Any) -> SweepReport:
        sweeps.append(1)
        if len(sweeps) == 1:
            raise RuntimeError("out of the blue")
        os.kill(os.getpid(), signal.SIGTERM)
        return SweepReport()

    monkeypatch.setattr(maintenance, "sweep", once)
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    try:
        result = cli.invoke(args=["jobs", "sweep", "--every", "1s"])
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])

    assert result.exit_code == 0, result.output
    assert "RuntimeError: out of the blue" in result.stderr
    assert len(sweeps) == 2


@pytest.mark.parametrize("own_is", [0, 1])
def test_fault_R14_of_two_dead_letters_the_rows_own_is_found(
    rows: Rows, qstash: QStash, cli: FlaskCliRunner, own_is: int
) -> None:
    job_id = enqueue("sample", GOOD, retries=0)
    body = json.dumps(rows[job_id].payload)
    url = f"{BASE_URL}/api/jobs/sample"
    other = qstash.message.publish(url=url, body=body, retries=0)
    wait_until(lambda: len(letters(qstash, "sample")) == 2, "the dead letters")
    own = [rows[job_id].message_id, other.message_id][own_is]  # type: ignore[union-attr]
    rows.set(job_id, message_id=own)

    assert sweep().dead_letters == 1

    assert rows[job_id].dead_at is not None
    assert sweep() == SweepReport()
    kinds = [one["kind"] for one in json.loads(cli.invoke(args=RECONCILE).stdout)]
    assert "dead-letter" not in kinds


RECONCILE = ["jobs", "reconcile", "--dry-run", "--json"]


@pytest.mark.parametrize("job_type", ["sample", "noop"])
def test_fault_A3_a_deleted_job_does_not_come_back(
    rows: Rows, qstash: QStash, client: FlaskClient, cli: FlaskCliRunner, job_type: str
) -> None:
    job_id = enqueue(job_type, GOOD, retries=0)
    wait_until(lambda: letters(qstash, job_type), "the dead letter")
    sweep()
    letter = letters(qstash, job_type)[0]
    assert cli.invoke(args=["jobs", "delete", job_id, "--yes"]).exit_code == 0

    assert sweep() == SweepReport()
    told = report_of(envelope(GOOD, job_type, jobId=job_id), letter.message_id)
    assert deliver(client, told, CALLBACK).json == {
        "success": True,
        "jobId": job_id,
        "changed": False,
    }

    assert job_id not in rows
    kinds = [one["kind"] for one in json.loads(cli.invoke(args=RECONCILE).stdout)]
    assert "dead-letter" not in kinds


def test_fault_A3_what_cleanup_deletes_does_not_come_back(rows: Rows, qstash: QStash) -> None:
    job_id = enqueue("sample", GOOD, retries=0)
    wait_until(lambda: letters(qstash, "sample"), "the dead letter")
    sweep()
    old = FinishedJobs(datetime.now(UTC))
    with db.engine.begin() as connection:
        assert old.delete(connection, *old.bounds(connection)) == 1

    assert sweep() == SweepReport()
    assert job_id not in rows


def test_fault_A3_what_was_remembered_long_enough_is_forgotten(rows: Rows, qstash: QStash) -> None:
    for table, values in (
        ("deleted_jobs", "(gen_random_uuid(), now() - interval '1 year')"),
        ("spent_tokens", "('d', gen_random_uuid(), now() - interval '1 s')"),
    ):
        db.session.execute(text(f"INSERT INTO {table} VALUES {values}"))  # noqa: S608 - ours
    db.session.commit()

    sweep()

    for table in ("deleted_jobs", "spent_tokens"):
        assert db.session.scalar(text(f"SELECT count(*) FROM {table}")) == 0  # noqa: S608 - ours


def test_fault_K2_a_crash_leaves_a_job_with_one_retry_its_retry(
    rows: Rows, qstash: QStash, client: FlaskClient
) -> None:
    """QStash's only retry met the lease of the dead, and then it gave up."""
    job_id = died(rows, max_retries=1, retry_count=0, message_id="msg_1")
    told = report_of(envelope(GOOD, jobId=job_id), "msg_1", maxRetries=1, retried=1)

    assert deliver(client, told, CALLBACK).json == {
        "success": True,
        "jobId": job_id,
        "changed": False,
    }
    assert sweep().rescued == 1

    assert deliver(client, envelope(GOOD, jobId=job_id)).status_code == 200
    row = rows[job_id]
    assert [attempt["outcome"] for attempt in row.attempts] == ["lost", "completed"]


def test_fault_K2_a_job_without_retries_is_dead_after_a_crash(
    rows: Rows, qstash: QStash, client: FlaskClient
) -> None:
    job_id = died(rows, max_retries=0, retry_count=0, message_id="msg_1")

    told = report_of(envelope(GOOD, jobId=job_id), "msg_1", maxRetries=0, retried=0)
    assert deliver(client, told, CALLBACK).status_code == 200

    assert rows[job_id].dead_at is not None


@pytest.mark.parametrize("retries", [0, 1])
def test_fault_K2_what_was_only_turned_away_is_put_back(
    app: Flask, rows: Rows, monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    """All tries met a full pool: the handler never ran, and so the job is not given up."""
    job_id = left_behind(rows, retries=retries)
    publisher = InMemoryPublisher(base_url=app.config["BASE_URL"])
    app.extensions["jobs"] = replace(app.extensions["jobs"], publisher=publisher)
    sweep()
    row = rows[job_id]
    tries = [wire.delivery(row, retried=n) for n in range(retries + 1)]
    db.session.rollback()
    monkeypatch.setattr(db.engine.pool, "_timeout", 0.05)
    with ExitStack() as held:
        for _ in range(app.config["DATABASE_POOL_SIZE"]):
            held.enter_context(db.engine.connect())
        answers = [wire.post(app, one) for one in tries]
    assert {answer.status_code for answer in answers} == {503}
    callback = wire.failure_callback(rows[job_id], answers[-1], retries)
    assert wire.post(app, callback).status_code == 200

    row = rows[job_id]
    assert (row.status, row.dead_at, row.published_at) == (Status.PENDING, None, None)
    rows.set(job_id, updated_at=LONG_AGO)
    assert sweep().published == 1
    assert job_testing.deliver(job_id).status_code == 200


def test_fault_K2_what_is_turned_away_for_ever_is_dead_in_the_end(
    app: Flask, rows: Rows, client: FlaskClient
) -> None:
    job_id = left_behind(rows, retries=0)
    app.config["JOBS_MAX_RESCHEDULES"] = 1
    for n in range(2):
        rows.set(job_id, message_id=f"msg_{n}", published_at=LONG_AGO)
        told = report_of(
            envelope(GOOD, jobId=job_id), f"msg_{n}", header={"jobs-not-run": ["true"]}
        )
        assert deliver(client, told, CALLBACK).status_code == 200

    assert rows[job_id].dead_at is not None


#: What another writer of the table, or a person, could leave in a row.
STRANGE = [
    "options = '[1]'",
    """options = '{"headers": 5}'""",
    "attempts = '5'",
    """attempts = '{"a": 1}'""",
    "attempts = '[5, {}]'",
    "payload = '5'",
    "payload = 'null'",
    """payload = '{"payload": {}, "metadata": 5, "sealed": 5}'""",
    "payload = jsonb_build_object('n', repeat('9', 5000)::numeric)",
    "payload = (repeat('[', 3000) || repeat(']', 3000))::jsonb",
    "result = (repeat('[', 3000) || repeat(']', 3000))::jsonb",
    "progress = '5'",
    """progress = '{"done": "x", "total": [], "note": 5}'""",
    "created_at = 'infinity'",
    "updated_at = '-infinity'",
    "status = 'processing', lease_expires_at = '-infinity', attempts = '{}'",
    "status = 'failed', dead_at = 'infinity'",
    "max_retries = -5, legs = -1, generation = -1",
]


@pytest.mark.parametrize("strange", STRANGE)
def test_fault_R3_no_strange_row_stops_a_sweep_or_a_list(
    cli: FlaskCliRunner, client: FlaskClient, rows: Rows, qstash: QStash, strange: str
) -> None:
    first, bad, last = [left_behind(rows) for _ in range(3)]
    change = f"UPDATE job_executions SET {strange} WHERE job_id = :job_id"  # noqa: S608 - ours
    db.session.execute(text(change), {"job_id": bad})
    db.session.commit()

    for command in ("reconcile --dry-run", "sweep", "list", "check", "health", f"show {bad}"):
        result = cli.invoke(args=["jobs", *command.split()])
        assert isinstance(result.exception, SystemExit | None), command
    key = {"Authorization": f"Bearer {keys.create('test', keys.SCOPES)[0]}"}
    for path in ("/api/jobs", f"/api/jobs/{bad}"):
        assert client.get(path, headers=key).status_code == 200, path
    assert rows[first].published_at
    assert rows[last].published_at
