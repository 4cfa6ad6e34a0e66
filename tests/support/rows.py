"""Jobs in the table, as they are now and as a test makes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, update

from app.db import db
from app.jobs import JobExecution, get_job_execution_by_job_id

AddJobs = Callable[..., None]


def row_of(job: str | Mapping[str, Any]) -> JobExecution:
    """Return the row of a job, which is named by its id or by its envelope."""
    job_id = job if isinstance(job, str) else job["jobId"]
    db.session.rollback()
    row = get_job_execution_by_job_id(job_id)
    assert row is not None, f"there is no job {job_id}"
    return row


def count_rows() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(JobExecution)) or 0


def add_row(**values: Any) -> str:
    """Insert a job as a test needs it, past `enqueue`; return its id."""
    given = {"job_id": str(uuid4()), "job_type": "sample", "payload": {"payload": {}}, **values}
    db.session.execute(insert(JobExecution).values(**given))
    db.session.commit()
    return str(given["job_id"])


def change_row(job: str | Mapping[str, Any], **values: Any) -> None:
    job_id = job if isinstance(job, str) else job["jobId"]
    db.session.execute(update(JobExecution).where(JobExecution.job_id == job_id).values(**values))
    db.session.commit()


@dataclass
class Rows:
    """The table, as it is now."""

    def __getitem__(self, job_id: str) -> JobExecution:
        return row_of(job_id)

    def __contains__(self, job_id: str) -> bool:
        db.session.rollback()
        return get_job_execution_by_job_id(job_id) is not None

    def set(self, job_id: str, **values: Any) -> None:
        change_row(job_id, **values)


@pytest.fixture
def rows(app: Flask) -> Rows:
    return Rows()


@pytest.fixture
def add_jobs(app: Flask) -> AddJobs:
    """Insert jobs; every value is SQL, such as "now() - interval '2 hours'"."""

    def add(count: int, status: str, **values: str) -> None:
        row = {"job_type": "'sample'", "payload": "'{}'", "status": f"'{status}'", **values}
        for _ in range(count):
            given: dict[str, Any] = {"job_id": f"'{uuid4()}'", **row}
            statement = (
                f"INSERT INTO job_executions ({', '.join(given)}) "  # noqa: S608 - the tests' own
                f"VALUES ({', '.join(given.values())})"
            )
            db.session.execute(db.text(statement))
        db.session.commit()

    return add
