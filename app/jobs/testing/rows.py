"""The recorded jobs, read apart from the test's own session: only what is committed counts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from flask import Flask, current_app
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..table.db import db
from ..table.models import JobExecution, Status
from ..values.nearest import hint

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1
_LAST_BEFORE = "jobs.testing.last_before"


@contextmanager
def begun(app: Flask) -> Iterator[None]:
    """Have `jobs` leave out, until the end of the block, what the table has by now."""
    app.extensions[_LAST_BEFORE] = _last(app)
    try:
        yield
    finally:
        del app.extensions[_LAST_BEFORE]


def _last(app: Flask) -> int:
    newest = select(func.coalesce(func.max(JobExecution.id), 0))
    with app.app_context():
        try:
            with Session(db.engine) as session:
                return session.scalars(newest).one()
        except SQLAlchemyError:  # no tables, or no database: the test meets that, if it needs them
            return 0


def wait_for(
    job_id: str, status: Status | str = Status.COMPLETED, *, timeout: float = 10
) -> JobExecution:
    """Wait until a job has a status, and return it; for jobs that another process runs.

    Args:
        job_id: What `enqueue` returned.
        status: Such as "completed".
        timeout: Seconds.

    Raises:
        ValueError: There is no such status.
        AssertionError: It had not, in that time; or it has completed, and nothing follows on that.
    """
    wanted, give_up_at, pause = Status(status), monotonic() + timeout, FIRST_PAUSE
    while (row := job(job_id)).status != wanted:
        if row.status == Status.COMPLETED or monotonic() > give_up_at:
            raise AssertionError(f"waited in vain for {wanted.value!r}: {describe(row)}")
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return row


def job(job_id: str) -> JobExecution:
    """Return a job.

    Raises:
        AssertionError: There is none; the message names the likely reasons.
    """
    found = _read(JobExecution.job_id == str(job_id))
    if found:
        return found[0]
    raise AssertionError(
        f"no job has the id {job_id}: if it was enqueued with session=…, commit that session first"
    )


def jobs(*conditions: ColumnElement[bool]) -> Sequence[JobExecution]:
    """Return the committed jobs, oldest first, without those from before the test's fixture."""
    last_before = current_app.extensions.get(_LAST_BEFORE, 0)
    return _read(JobExecution.id > last_before, *conditions)


def _read(*conditions: ColumnElement[bool]) -> Sequence[JobExecution]:
    query = select(JobExecution).where(*conditions).order_by(JobExecution.id)
    with Session(db.engine, expire_on_commit=False) as session:
        return session.scalars(query).all()


def describe(row: JobExecution) -> str:
    """Say in a line how a job stands."""
    dead = " and dead" if row.dead_at and row.status == Status.FAILED else ""
    why = f": {row.error}" if row.error else ""
    return f"{row.job_type} job {row.job_id} is {row.status}{dead}{why}"


def check_columns(names: Sequence[str]) -> None:
    """Raise `TypeError` for a name that is not a column of a job."""
    known: list[Any] = [column.key for column in JobExecution.__table__.columns]
    for name in names:
        if name not in known:
            raise TypeError(f"a job has no column {name!r}; {hint(name, known)}")
