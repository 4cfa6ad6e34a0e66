"""The table by hand: `create_job_execution`, `get_job_execution_by_job_id`, `update_…`."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash
from sqlalchemy import text

from app.db import db
from app.jobs import (
    IllegalTransition,
    Status,
    UpdateRefused,
    create_job_execution,
    enqueue,
    get_job_execution_by_job_id,
    update_job_execution,
)
from app.jobs.recover.sweep import sweep
from app.jobs.table import sweep_sql
from app.jobs.table.models import TRANSITIONS
from tests.support.qstash import deliver
from tests.support.rows import Rows
from tests.support.waiting import wait_until

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def make(**values: Any) -> str:
    data = {"job_id": str(uuid4()), "job_type": "sample", "payload": {}, **values}
    return create_job_execution(data).job_id


def as_stored(job_id: str) -> dict[str, Any]:
    """The row as another connection sees it."""
    with db.engine.connect() as connection:
        query = text("SELECT * FROM job_executions WHERE job_id = :job_id")
        return dict(connection.execute(query, {"job_id": job_id}).one()._mapping)


@pytest.mark.parametrize(
    ("status", "filled"),
    [
        ("pending", set()),
        ("processing", {"started_at"}),
        ("completed", {"completed_at"}),
        ("failed", {"completed_at", "dead_at"}),
        ("cancelled", {"completed_at", "cancelled_at"}),
    ],
)
def test_a_row_of_any_status_is_whole(app: Flask, status: str, filled: set[str]) -> None:
    stored = as_stored(make(status=status))

    moments = ("started_at", "completed_at", "dead_at", "cancelled_at")
    assert {name for name in moments if stored[name] is not None} == filled


@pytest.mark.parametrize("snake", [True, False])
def test_a_row_is_made_in_either_spelling_and_committed(app: Flask, *, snake: bool) -> None:
    job_id = str(uuid4())
    given = {"job_id": job_id, "job_type": "send-email", "payload": {"a": 1}, "user_id": 123}
    camel = {"jobId": job_id, "jobType": "send-email", "payload": {"a": 1}, "userId": 123}

    made = create_job_execution(given if snake else camel)

    assert (made.job_id, made.status, made.retry_count) == (job_id, "pending", 0)
    stored = as_stored(job_id)
    assert (stored["job_type"], stored["payload"], stored["user_id"]) == (
        "send-email",
        {"a": 1},
        123,
    )
    assert stored["result"] is None


def test_a_row_made_by_hand_is_published_by_whoever_made_it(app: Flask, rows: Rows) -> None:
    job_id = make()

    assert sweep(grace=0).published == 0
    assert rows[job_id].published_at is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "required: job_id, job_type, payload"),
        ({"jobId": "x\n"}, "job_id: .* is not a job's id: one line of 1 to 255 characters"),
        ({"job_type": ""}, "job_type: '' is not a text of 1 to 100 characters"),
        ({"jobType": "sample", "job_type": "sample"}, "job_type is given twice"),
    ],
)
def test_a_row_that_is_none_is_refused(app: Flask, data: dict[str, Any], said: str) -> None:
    with pytest.raises(UpdateRefused, match=said):
        create_job_execution(data)


def test_an_id_that_is_taken_is_refused(app: Flask, rows: Rows) -> None:
    job_id = make(user_id=1)

    with pytest.raises(UpdateRefused, match=f"job {job_id} already exists"):
        make(job_id=job_id, user_id=2)

    assert rows[job_id].user_id == 1


@pytest.mark.parametrize(
    "job_id", ["6108d894-457b-411a-82f7-9c0a304a2428", "job-uuid", "", "x" * 300, "\x00", None, 5]
)
def test_there_is_no_job_with_an_unknown_or_a_malformed_id(app: Flask, job_id: Any) -> None:
    assert get_job_execution_by_job_id(job_id) is None
    with pytest.raises(IllegalTransition, match="no job has the id"):
        update_job_execution(job_id, {"error": "x"})


def test_a_row_is_read_as_it_is_now(app: Flask) -> None:
    """Also where this session has read it before, in the same transaction."""
    job_id = make()
    before = get_job_execution_by_job_id(job_id)

    update_job_execution(job_id, {"status": "processing"})

    after = get_job_execution_by_job_id(job_id)
    assert after is before
    assert after is not None
    assert after.status == "processing"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("payload", {"type": "sample", "payload": {"ä": ["\u2028"]}}),
        ("result", {"sent": 1}),
        ("result", None),
        ("error", "no use"),
        ("error", None),
        ("retry_count", 3),
        ("user_id", 2**40),
        ("organization_id", None),
        ("started_at", NOW),
        ("completed_at", None),
        ("created_at", NOW - timedelta(days=1)),
        ("updated_at", NOW),
    ],
)
def test_any_field_alone_is_changed_and_nothing_else(app: Flask, field: str, value: Any) -> None:
    job_id = make(result={"old": True}, error="old", organization_id=1, completed_at=NOW)
    before = as_stored(job_id)

    update_job_execution(job_id, {field: value})

    after = as_stored(job_id)
    assert after[field] == value
    untouched = before.keys() - {field, "updated_at"}
    assert {key: after[key] for key in untouched} == {key: before[key] for key in untouched}


def test_fields_are_changed_together_in_the_wires_spelling(app: Flask) -> None:
    job_id = make(status="processing")

    update_job_execution(job_id, {"status": "completed", "completedAt": NOW, "retryCount": 2})

    stored = as_stored(job_id)
    assert (stored["status"], stored["completed_at"], stored["retry_count"]) == (
        "completed",
        NOW,
        2,
    )


@pytest.mark.parametrize(
    ("updates", "said"),
    [
        ({"retry_cuont": 0}, "a job has no field 'retry_cuont'; did you mean: retry_count?"),
        ({"zzz": 0}, "a job has no field 'zzz'; known: status, payload, result"),
        ({"lease_token": None}, "lease_token cannot be written by hand; these can: status"),
        ({"jobId": str(uuid4())}, "jobId cannot be written by hand"),
        ({"jobType": "other"}, "jobType cannot be written by hand"),
        ({"status": "done"}, "status: 'done' is none of pending, processing, completed, failed"),
        ({"status": None}, "status: None is none of"),
        ({"payload": None}, "payload: NoneType is not an object"),
        ({"payload": {"a": "\x00"}}, "payload: text must not contain NUL"),
        ({"result": [1]}, "result: list is not an object"),
        ({"result": {"a": float("nan")}}, "result: "),
        ({"error": 5}, "error: 5 is neither a text nor None"),
        ({"retryCount": -1}, "retry_count: -1 is not a whole number of 0 or more"),
        ({"retry_count": 2**31}, "retry_count: 2147483648 is not a whole number"),
        ({"retry_count": True}, "retry_count: True is not a whole number"),
        ({"user_id": []}, r"user_id: \[\] is not a valid"),
        ({"completed_at": "2026-11-28"}, "completed_at: '2026-11-28' is not an aware datetime"),
        ({"started_at": NOW.replace(tzinfo=None)}, "is not an aware datetime; add a time zone"),
        ({"created_at": None}, "created_at: every job has one"),
    ],
)
def test_an_impossible_change_is_refused_in_one_sentence_and_changes_nothing(
    app: Flask, updates: dict[str, Any], said: str
) -> None:
    job_id = make()
    before = as_stored(job_id)

    with pytest.raises(UpdateRefused, match=said) as raised:
        update_job_execution(job_id, {"error": "x", **updates})

    assert "\n" not in str(raised.value)
    assert as_stored(job_id) == before


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_only_changes_of_the_state_machine_are_made(
    app: Flask, before: Status, after: Status
) -> None:
    job_id = make(status=before)

    if after in {before, *TRANSITIONS[before]}:
        update_job_execution(job_id, {"status": after.value})
        assert as_stored(job_id)["status"] == after
    else:
        with pytest.raises(IllegalTransition, match=f"is {before} and cannot become {after}"):
            update_job_execution(job_id, {"status": after})
        assert as_stored(job_id)["status"] == before


def test_a_status_that_it_has_already_brings_nothing_along(app: Flask) -> None:
    for status in Status:
        job_id = make(status=status)
        before = as_stored(job_id)

        update_job_execution(job_id, {"status": status, "retryCount": 2})

        after = as_stored(job_id)
        changed = {name for name in after if after[name] != before[name]}
        assert changed <= {"retry_count", "updated_at"}, status


def test_a_job_that_waits_for_its_retry_may_be_called_failed_and_is_dead(app: Flask) -> None:
    job_id = make(status="failed")
    db.session.execute(text("UPDATE job_executions SET dead_at = NULL, completed_at = NULL"))
    db.session.commit()

    update_job_execution(job_id, {"status": "failed", "error": "the provider is gone"})

    row = as_stored(job_id)
    assert row["dead_at"]
    assert row["error"] == "the provider is gone"


def test_a_session_of_ones_own_decides_whether_it_happened(app: Flask) -> None:
    job_id = make()

    update_job_execution(job_id, {"status": "failed"}, session=db.session)
    made = make_in_session = str(uuid4())
    create_job_execution({"job_id": made, "job_type": "sample", "payload": {}}, session=db.session)
    db.session.rollback()

    assert as_stored(job_id)["status"] == "pending"
    assert get_job_execution_by_job_id(make_in_session) is None


def test_a_row_that_ones_own_transaction_holds_is_not_waited_for(app: Flask) -> None:
    job_id = make()
    db.session.execute(text("UPDATE job_executions SET error = 'mine'"))

    with pytest.raises(
        UpdateRefused, match="by another transaction; if it is yours, pass session="
    ):
        update_job_execution(job_id, {"error": "x"})

    update_job_execution(job_id, {"error": "x"}, session=db.session)
    db.session.commit()
    assert as_stored(job_id)["error"] == "x"


def test_a_job_completed_by_hand_is_not_run_by_the_delivery_that_comes(
    app: Flask, client: FlaskClient, rows: Rows
) -> None:
    job_id = enqueue("sample", {"action": "effect"})

    update_job_execution(job_id, {"status": "completed", "result": {"by": "hand"}})

    answer = deliver(client, rows[job_id].payload)
    assert answer.json == {"success": True, "skipped": "completed"}
    assert rows[job_id].result == {"by": "hand"}


def dead_at_qstash(rows: Rows, **options: Any) -> str:
    """A job that QStash has given up, with its dead letter there."""
    job_id = enqueue("sample", {"action": "permanent"}, retries=0, **options)
    wait_until(lambda: rows[job_id].dead_at, "the death")
    return job_id


def the_guides_reset(job_id: str) -> None:
    update_job_execution(job_id, {"status": "pending", "error": None, "retryCount": 0})


def test_a_job_put_back_by_hand_stays_alive_through_every_sweep(
    app: Flask, live_qstash: QStash, rows: Rows
) -> None:
    job_id = dead_at_qstash(rows)
    wait_until(lambda: live_qstash.dlq.list().messages, "the dead letter")

    the_guides_reset(job_id)

    for _ in range(3):
        assert sweep().dead_letters == 0
    row = rows[job_id]
    assert (row.status, row.error, row.dead_at, row.retry_count) == ("pending", None, None, 0)
    assert row.generation == 1
    assert [attempt["outcome"] for attempt in row.attempts] == ["failed"]


def test_a_job_put_back_by_hand_is_run_by_the_next_sweep(
    app: Flask, live_qstash: QStash, rows: Rows
) -> None:
    job_id = dead_at_qstash(rows)
    payload = rows[job_id].payload
    fixed = {**payload, "payload": {"action": "none"}}

    update_job_execution(job_id, {"status": "pending", "payload": fixed})

    assert sweep(grace=0).published == 1
    wait_until(lambda: rows[job_id].status == "completed", "its second life")


def test_a_row_of_another_producer_that_is_put_back_is_run_too(
    app: Flask, live_qstash: QStash, rows: Rows
) -> None:
    job_id = str(uuid4())
    job = {"jobId": job_id, "type": "sample", "payload": {"action": "none"}, "metadata": {}}
    make(job_id=job_id, payload=job, status="failed")

    the_guides_reset(job_id)

    assert sweep(grace=0).published == 1
    wait_until(lambda: rows[job_id].status == "completed", "its second life")


def test_a_job_that_qstash_would_retry_has_one_message_after_it_is_put_back(
    app: Flask, qstash: QStash, rows: Rows
) -> None:
    job_id = enqueue("sample", {"action": "none"}, delay="1h")
    update_job_execution(job_id, {"status": "cancelled"})
    old = rows[job_id].message_id or ""
    rows.set(job_id, status="failed")

    the_guides_reset(job_id)

    assert rows[job_id].message_id is None
    with pytest.raises(Exception, match="404"):
        qstash.message.get(old)


def test_enqueued_again_under_its_key_it_is_still_one_job(
    app: Flask, live_qstash: QStash, rows: Rows
) -> None:
    job_id = dead_at_qstash(rows, idempotency_key="once")
    the_guides_reset(job_id)

    again = enqueue("sample", {"action": "permanent"}, idempotency_key="once")

    assert (again, again.existed) == (job_id, True)
    assert sweep(grace=0).published == 1


def twins(rows: Rows, **options: Any) -> tuple[str, str]:
    """A dead job, put back by hand, and enqueued again as the guide has it."""
    job_id = dead_at_qstash(rows)
    the_guides_reset(job_id)
    return job_id, enqueue("sample", rows[job_id].payload["payload"], **options)


def test_enqueued_again_it_is_left_to_the_new_job(
    app: Flask, live_qstash: QStash, rows: Rows
) -> None:
    job_id, twin = twins(rows, delay="10d")

    assert sweep(grace=0).published == 0
    assert rows[job_id].status == "pending"

    update_job_execution(twin, {"status": "completed", "result": {"done": 1}})
    assert sweep(grace=0).published == 0
    row = rows[job_id]
    assert (row.status, row.result, row.dead_at) == ("completed", {"done": 1}, None)
    assert row.completed_at is not None


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_new_job_that_comes_to_nothing_leaves_it_to_the_old(
    app: Flask, live_qstash: QStash, rows: Rows, end: str
) -> None:
    job_id, twin = twins(rows, delay="10d")
    update_job_execution(twin, {"status": end})

    assert sweep(grace=0).published == 1
    wait_until(lambda: rows[job_id].dead_at, "its second life's end")


@pytest.mark.parametrize(
    ("payload", "options"),
    [({"action": "none"}, {}), (None, {"user_id": 7}), (None, {"organization_id": 7})],
)
def test_another_payload_or_owner_is_another_job(
    app: Flask, live_qstash: QStash, rows: Rows, payload: Any, options: dict[str, Any]
) -> None:
    job_id = dead_at_qstash(rows)
    the_guides_reset(job_id)
    enqueue("sample", payload or rows[job_id].payload["payload"], **options, delay="10d")

    assert sweep(grace=0).published == 1


def test_what_was_enqueued_before_it_was_put_back_is_another_job(
    app: Flask, live_qstash: QStash, rows: Rows
) -> None:
    job_id = dead_at_qstash(rows)
    enqueue("sample", rows[job_id].payload["payload"], delay="10d")

    the_guides_reset(job_id)

    assert sweep(grace=0).published == 1


def test_jobs_that_nobody_put_back_have_no_twins(app: Flask, rows: Rows) -> None:
    """Two equal jobs in the outbox, as QStash is away: both are to be published."""
    ids = [enqueue("sample", {"action": "none"}) for _ in range(2)]
    update_job_execution(ids[1], {"status": "completed"})

    sweep(grace=0)

    assert rows[ids[0]].status == "pending"


def test_no_sweep_reads_the_table_to_find_twins(app: Flask) -> None:
    db.session.execute(
        text(
            "INSERT INTO job_executions (job_id, job_type, payload, status, published_at)"
            " SELECT gen_random_uuid(), 'sample', '{}', 'completed', now()"
            " FROM generate_series(1, 5000)"
        )
    )
    db.session.execute(text("ANALYZE job_executions"))

    plan = db.session.scalars(text(f"EXPLAIN {sweep_sql.DONE_BY_TWIN.text}")).all()

    assert "Seq Scan" not in "\n".join(plan)


@pytest.mark.parametrize("given", [None, "status", ["status"]])
def test_what_is_no_mapping_is_refused_in_one_sentence(app: Flask, given: Any) -> None:
    with pytest.raises(UpdateRefused, match="is not a mapping of a job's fields to values"):
        update_job_execution("any", given)
    with pytest.raises(UpdateRefused, match="is not a mapping of a job's fields to values"):
        create_job_execution(given)
