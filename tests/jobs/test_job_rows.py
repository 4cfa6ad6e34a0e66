"""Rows of the table: made once, found by their id, indexed for the sweep."""

from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from app.db import db
from app.jobs import JobExecution
from app.jobs.message import Message
from app.jobs.table import attempt_sql
from app.jobs.table.job_rows import (
    create_job_execution,
    get_job_execution_by_job_id,
    note_published,
)


def make(**values: Any) -> str:
    job_id = str(uuid4())
    row = {"job_id": job_id, "job_type": "sample", "payload": {}, **values}
    create_job_execution(db.session.connection(), row)
    return job_id


def found(job_id: str) -> JobExecution:
    row = get_job_execution_by_job_id(job_id)
    assert row is not None
    db.session.refresh(row)
    return row


def test_a_new_job_is_pending_and_whole(app: Flask) -> None:
    row = found(make())

    assert (row.status, row.retry_count, row.generation, row.attempts) == ("pending", 0, 0, [])
    assert row.created_at is not None


def test_nothing_exists_before_the_caller_commits(app: Flask) -> None:
    job_id = make()
    db.session.rollback()

    assert get_job_execution_by_job_id(job_id) is None


def test_an_id_that_exists_is_left_alone(app: Flask) -> None:
    job_id = make(user_id=1)

    make(job_id=job_id, user_id=2)

    assert found(job_id).user_id == 1


@pytest.mark.parametrize(
    "where",
    [
        "status = 'pending' AND published_at IS NULL AND pause IS NULL",
        "status = 'pending' AND pause IS NULL AND coalesce(available_at, created_at) < now()",
        "status = 'processing' AND pause IS NULL AND lease_expires_at < now()",
    ],
)
def test_what_a_sweep_looks_for_is_indexed(app: Flask, where: str) -> None:
    db.session.execute(
        text(
            "INSERT INTO job_executions (job_id, job_type, payload, status, published_at)"
            " SELECT gen_random_uuid(), 'sample', '{}', 'completed', now()"
            " FROM generate_series(1, 5000)"
        )
    )
    db.session.execute(text("ANALYZE job_executions"))
    explain = f"EXPLAIN SELECT job_id FROM job_executions WHERE {where}"  # noqa: S608 - from above

    assert "Seq Scan" not in "\n".join(db.session.scalars(text(explain)))


def test_a_claim_is_planned_for_one_row_of_one_table(app: Flask) -> None:
    """The planner looks at 21 indexes for each mention of the table; see docs/performance.md."""
    given = dict.fromkeys(attempt_sql.CLAIM.compile().params)
    given |= {"job_id": "a", "job_type": "sample", "message_id": "msg", "retried": 0, "timeout": 60}
    plan = list(db.session.scalars(text(f"EXPLAIN {attempt_sql.CLAIM.text}"), given))

    mentions = [line.strip() for line in plan if line.rstrip().find(" on job_executions ") > 0]
    assert len(mentions) == 2, plan  # the update, and what finds its row


def test_a_heartbeat_writes_into_no_index(app: Flask) -> None:
    token = str(uuid4())
    insert = (
        "INSERT INTO job_executions (job_id, job_type, payload, status, started_at, lease_token,"
        " lease_expires_at) VALUES ('a', 'sample', '{}', 'processing', now(), :token, now())"
    )
    hot = text("SELECT pg_stat_get_xact_tuples_hot_updated('job_executions'::regclass)")
    given = {"job_id": "a", "token": token, "timeout": 60, "heartbeat": 5, "progress": None}
    with db.engine.begin() as connection:
        connection.execute(text(insert), {"token": token})
        connection.execute(attempt_sql.BEAT, given)

        assert connection.scalar(hot) == 1


def test_a_publish_that_its_delivery_overtook_is_not_noted_again(app: Flask) -> None:
    message = Message(job_id=make(), job_type="sample", endpoint="/a", body="{}", options={})
    db.session.commit()
    version = text("SELECT message_id, ctid::text FROM job_executions WHERE job_id = :job_id")

    def noted(message_id: str) -> Any:
        note_published([(message, message_id)])
        with db.engine.connect() as connection:
            return connection.execute(version, {"job_id": message.job_id}).one()

    first = noted("msg_1")
    assert first.message_id == "msg_1"
    assert noted("msg_2") == first
