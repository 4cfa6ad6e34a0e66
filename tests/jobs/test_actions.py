"""What people do to jobs by hand: only what the state machine knows, and all of it on record."""

import getpass
import json
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient, FlaskCliRunner
from qstash import QStash
from sqlalchemy import select, text

from app.db import db
from app.jobs import Status, enqueue
from app.jobs.cli import group
from app.jobs.errors import ActionRefused
from app.jobs.operate import actions
from app.jobs.table.audit import JobAudit
from app.jobs.table.filters import Filter
from tests.support.qstash import deliver, envelope
from tests.support.rows import Rows

DEAD = {"status": "failed", "dead_at": text("now()"), "error": "ValueError: a 100% bad day"}
GOOD = {"action": "none"}


def recorded(rows: Rows, **values: Any) -> str:
    job_id = enqueue("sample", GOOD, delay=3600)
    rows.set(job_id, **values) if values else None
    return job_id


def audits() -> list[JobAudit]:
    db.session.rollback()
    return list(db.session.scalars(select(JobAudit).order_by(JobAudit.id)))


def requested(qstash: QStash, message_id: str | None) -> bool:
    """Tell whether QStash was asked to forget a message."""
    url = f"/v2/events?state=CANCEL_REQUESTED&messageId={message_id}"
    return bool(qstash.http.request(path=url, method="GET")["events"])


@pytest.mark.parametrize("state", [DEAD, {"status": "cancelled", "cancelled_at": text("now()")}])
def test_a_retry_starts_afresh_and_keeps_the_attempts(
    rows: Rows, qstash: QStash, state: dict[str, Any]
) -> None:
    attempts = [{"number": 1, "outcome": "failed"}]
    job_id = recorded(rows, **state, retry_count=3, reschedules=2, attempts=attempts)
    old = rows[job_id].message_id

    done = actions.retry(Filter(job_ids=(job_id,)), by="ann")

    row = rows[job_id]
    assert (done.count, done.waiting, done.job_ids) == (1, 0, [job_id])
    assert (row.status, row.error, row.dead_at, row.cancelled_at) == ("pending", None, None, None)
    assert (row.retry_count, row.generation, row.reschedules) == (0, 1, 0)
    assert (row.attempts, row.available_at) == (attempts, None)
    assert row.message_id not in {None, old}
    assert requested(qstash, old)


def test_a_retried_job_runs_with_a_new_idempotency_key(
    rows: Rows, qstash: QStash, client: FlaskClient
) -> None:
    job_id = recorded(rows, **DEAD)
    actions.retry(Filter(job_ids=(job_id,)), by="ann")

    answer = deliver(client, envelope({"action": "echo"}, jobId=job_id))

    assert answer.json is not None
    assert answer.json["result"]["key"] == f"{job_id}/1"


def test_a_retry_while_qstash_is_away_waits_for_the_sweep(rows: Rows) -> None:
    job_id = recorded(rows, **DEAD)

    assert actions.retry(Filter(job_ids=(job_id,)), by="ann").waiting == 1
    assert (rows[job_id].status, rows[job_id].published_at) == (Status.PENDING, None)


@pytest.mark.parametrize("state", [{}, {"status": "failed"}, DEAD])
def test_cancelling_what_waits_withdraws_its_message(
    rows: Rows, qstash: QStash, client: FlaskClient, state: dict[str, Any]
) -> None:
    job_id = recorded(rows, **state)

    assert actions.cancel(Filter(job_ids=(job_id,)), by="ann").count == 1

    assert rows[job_id].status == Status.CANCELLED
    assert requested(qstash, rows[job_id].message_id)
    assert deliver(client, envelope(GOOD, jobId=job_id)).json == {
        "success": True,
        "skipped": "cancelled",
    }


def test_cancelling_what_runs_asks_the_handler(rows: Rows, qstash: QStash) -> None:
    lease = {"lease_token": str(uuid4()), "lease_expires_at": text("now() + interval '1 h'")}
    job_id = recorded(rows, status="processing", **lease)

    done = actions.cancel(Filter(job_ids=(job_id,)), by="ann")

    row = rows[job_id]
    assert (done.count, done.asked) == (1, 1)
    assert (row.status, row.lease_token) == (Status.PROCESSING, lease["lease_token"])
    assert row.cancelled_at is not None
    assert not requested(qstash, row.message_id)
    assert actions.cancel(Filter(job_ids=(job_id,)), by="ann").count == 0


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("retry", {}),
        ("retry", {"status": "processing"}),
        ("retry", {"status": "completed"}),
        ("retry", {**DEAD, "job_type": "of-yesterday"}),
        ("cancel", {"status": "completed"}),
        ("cancel", {"status": "cancelled"}),
        ("delete", {}),
        ("delete", {"status": "processing"}),
        ("delete", {"status": "failed"}),
    ],
)
def test_what_the_state_machine_does_not_know_is_not_done(
    rows: Rows, qstash: QStash, action: str, state: dict[str, Any]
) -> None:
    job_id = recorded(rows, **state)
    before = rows[job_id].status

    assert getattr(actions, action)(Filter(job_ids=(job_id,)), by="ann").count == 0
    assert rows[job_id].status == before


@pytest.mark.parametrize("state", [{"status": "completed"}, {"status": "cancelled"}, DEAD])
def test_what_is_final_can_be_deleted(rows: Rows, state: dict[str, Any]) -> None:
    job_id = recorded(rows, **state)

    assert actions.delete(Filter(job_ids=(job_id,)), by="ann").count == 1
    assert job_id not in rows


@pytest.mark.parametrize("action", ["retry", "cancel", "delete"])
def test_an_empty_filter_is_refused_and_leaves_no_record(rows: Rows, action: str) -> None:
    recorded(rows, **DEAD)

    with pytest.raises(ActionRefused, match="No filter was given: select jobs, or pass --all"):
        getattr(actions, action)(Filter(), by="ann")
    assert audits() == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"status": Status.FAILED},
        {"job_type": "sample"},
        {"dead": True},
        {"older_than": 3000},
        {"organization_id": 3},
        {"error": "100% BAD"},
        {"job_type": "sample", "error": "bad", "older_than": 0},
    ],
)
def test_a_filter_takes_what_it_says(rows: Rows, wanted: dict[str, Any]) -> None:
    hit = recorded(rows, **DEAD, organization_id=3, created_at=text("now() - interval '1 h'"))
    miss = recorded(rows, status="cancelled", job_type="noop", error="_100_ bad?")
    rows.set(miss, error="1000 BAD" if "error" in wanted else None)

    actions.delete(Filter(**wanted), by="ann")

    assert hit not in rows
    assert miss in rows


def test_newer_than_leaves_the_old(rows: Rows) -> None:
    old = recorded(rows, **DEAD, created_at=text("now() - interval '1 h'"))
    new = recorded(rows, **DEAD)

    actions.delete(Filter(newer_than=60), by="ann")

    assert old in rows
    assert new not in rows


def test_many_are_taken_in_chunks_and_are_one_record(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "CHUNK", 2)
    ids = [recorded(rows, **DEAD) for _ in range(5)]

    done = actions.delete(Filter(everything=True), by="ann")

    assert done.count == 5
    record = audits()[0]
    assert (record.actor, record.action, record.job_count) == ("ann", "delete", 5)
    assert (record.filter, record.job_ids) == ({"everything": True}, ids)


def test_a_record_keeps_a_hundred_ids(rows: Rows) -> None:
    recorded(rows, **DEAD)
    db.session.execute(
        text(
            "INSERT INTO job_executions (job_id, job_type, status, payload)"
            " SELECT gen_random_uuid(), 'sample', 'completed', '{}' FROM generate_series(1, 600)"
        )
    )
    db.session.commit()

    actions.delete(Filter(job_type="sample"), by="ann")

    record = audits()[0]
    assert (record.job_count, len({*record.job_ids})) == (601, 100)


def test_the_command_previews_and_asks(
    cli: FlaskCliRunner, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "is_terminal", lambda: True)
    job_id = recorded(rows, **DEAD)

    refused = cli.invoke(args=["jobs", "delete", "--dead"], input="n\n")

    assert "Delete 1 job (1 failed)? [y/N]" in refused.stderr
    assert (refused.exit_code, job_id in rows, audits()) == (1, True, [])
    agreed = cli.invoke(args=["jobs", "delete", "--dead"], input="y\n")
    assert (agreed.exit_code, agreed.stdout, job_id in rows) == (0, "Deleted 1 job\n", False)


def test_a_named_job_is_retried_without_a_question(
    cli: FlaskCliRunner, rows: Rows, qstash: QStash
) -> None:
    job_id = recorded(rows, **DEAD)

    result = cli.invoke(args=["jobs", "retry", job_id, "--json"])

    assert json.loads(result.stdout) == {
        "action": "retry",
        "count": 1,
        "asked": 0,
        "waiting": 0,
        "job_ids": [job_id],
        "refused": [],
    }
    assert audits()[0].actor == getpass.getuser()


def test_many_are_acted_on_without_a_question_when_told_so(
    cli: FlaskCliRunner, rows: Rows, qstash: QStash
) -> None:
    recorded(rows)

    result = cli.invoke(args=["jobs", "cancel", "--all", "--yes", "--by", "ann"])

    assert result.stdout == "Cancelled 1 job\n"
    assert audits()[0].actor == "ann"


def test_a_named_job_that_cannot_be_changed_is_exit_code_1(cli: FlaskCliRunner, rows: Rows) -> None:
    result = cli.invoke(args=["jobs", "retry", recorded(rows, status="completed")])

    assert result.exit_code == 1
    assert "1 of the given jobs does not exist or cannot be retried now" in result.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["retry"], "No filter was given"),
        (["cancel", "--yes"], "No filter was given"),
        (["delete", "x" * 256], "is not one line of 1 to 255 characters"),
        (["delete", "--older-than", "long"], "'long' is not a duration"),
        (["retry", "--status", "done"], "'done' is not one of"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    cli: FlaskCliRunner, args: list[str], said: str
) -> None:
    result = cli.invoke(args=["jobs", *args])

    assert (result.exit_code, said in result.stderr) == (2, True)


def test_the_jobs_of_several_chunks_are_looked_for_once(
    rows: Rows, qstash: QStash, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "CHUNK", 2)
    wanted = [recorded(rows, **DEAD) for _ in range(5)]
    statements.clear()

    done = actions.delete(Filter(dead=True), by="ann")

    assert (done.count, done.job_ids) == (5, wanted)
    looked = [one for one in statements if "LIMIT" in one and "dead_at IS NOT NULL" in one]
    assert len(looked) == 2  # the second finds that there are no more
    assert not any("FOR UPDATE" in one for one in looked)


def test_a_job_that_fits_no_more_when_its_turn_comes_stays_as_it_is(
    rows: Rows, qstash: QStash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "CHUNK", 2)
    first, second, third, fourth, last = [recorded(rows, **DEAD) for _ in range(5)]

    def meanwhile(*_: Any) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(actions, "CHUNK", 2)
        for job_id in (third, fourth):
            rows.set(job_id, status="completed", dead_at=None)

    monkeypatch.setattr(actions, "tell", meanwhile)
    done = actions.retry(Filter(dead=True), by="ann")

    assert done.job_ids == [first, second, last]
    assert [rows[job_id].status for job_id in (third, fourth)] == ["completed"] * 2
