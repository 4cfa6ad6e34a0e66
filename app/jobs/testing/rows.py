"""The recorded jobs, read apart from the test's own session: only what is committed counts."""

from collections.abc import Sequence
from time import monotonic, sleep
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ..table.db import db
from ..table.models import JobExecution, Status
from ..values.nearest import hint

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1


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
    found = jobs(JobExecution.job_id == str(job_id))
    if found:
        return found[0]
    raise AssertionError(
        f"no job has the id {job_id}: if it was enqueued with session=…, commit that session first"
    )


def jobs(*conditions: ColumnElement[bool]) -> Sequence[JobExecution]:
    """Return the committed jobs, oldest first."""
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
