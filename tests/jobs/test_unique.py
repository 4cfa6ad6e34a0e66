"""One job is enough of those with the same key: by a unique index, and not by looking first."""

from typing import Any

from flask import Flask
from sqlalchemy import select, text

from app.db import db
from app.jobs import JobExecution, Unique, enqueue, get_job_execution_by_job_id
from app.jobs.testing import deliver

SAME = {"action": "none", "count": 1}
OTHER = {"action": "none", "count": 2}
ONE = Unique(fields=("action",))


def row_of(job_id: str) -> Any:
    db.session.rollback()
    return get_job_execution_by_job_id(job_id)


def rows() -> list[JobExecution]:
    db.session.rollback()
    return list(db.session.scalars(select(JobExecution).order_by(JobExecution.id)))


def test_a_job_that_waits_is_enough(app: Flask, published: Any) -> None:
    first = enqueue("sample", SAME, unique=ONE)
    again = enqueue("sample", OTHER, unique=ONE)

    assert (first.enqueued_as, first.existed) == ("new", False)
    assert (again, again.enqueued_as, again.existed) == (first, "existing", True)
    assert [row.job_id for row in rows()] == [first]


def test_replace(app: Flask, published: Any) -> None:
    rule = Unique(fields=("action",), on_conflict="replace")
    first = enqueue("sample", SAME, unique=rule)
    again = enqueue("sample", {"action": "none", "count": 7}, unique=rule)

    assert (again, again.enqueued_as) == (first, "replaced")
    assert row_of(first).payload["payload"]["count"] == 7
    answer = deliver(first)
    print(answer.json, row_of(first).status)


def test_once_more(app: Flask, published: Any) -> None:
    rule = Unique(fields=("action",), once_more=True)
    first = enqueue("sample", SAME, unique=rule)
    db.session.execute(
        text(
            "UPDATE job_executions SET status='processing', started_at=now(), lease_token=gen_random_uuid(), lease_expires_at=now() + interval '1 minute'"
        )
    )
    db.session.commit()
    again = enqueue("sample", SAME, unique=rule)
    more = enqueue("sample", SAME, unique=rule)
    assert again != first and again.enqueued_as == "follow-up"
    assert more == again and more.enqueued_as == "existing"
