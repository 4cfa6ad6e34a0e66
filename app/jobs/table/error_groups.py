"""Failed jobs by what went wrong: those of one type whose errors differ in numbers and ids only."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, func, select, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY, INTEGER, aggregate_order_by

from .db import in_transaction
from .filters import Filter, fingerprint_of
from .models import JobExecution, Status

#: Of more failed jobs only the newest are grouped, so that a look at an outage cannot take long.
GROUPED = 5_000
#: Hours that a group's `hours` go back.
HOURS = 24

_table = cast("Table", JobExecution.__table__)


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failed jobs of one type with errors of one kind.

    Attributes:
        fingerprint: For `Filter.fingerprint`.
        count: How many there are; `dead` of them will not be tried again.
        first_at: When the first of them was recorded, and the last one.
        job_id: The newest of them; `error` is its error.
        hours: How many were recorded in each of the last 24 hours, the oldest first.
    """

    job_type: str
    fingerprint: str
    count: int
    dead: int
    first_at: datetime
    last_at: datetime
    job_id: str
    error: str
    hours: list[int]


def error_groups(wanted: Filter) -> list[ErrorGroup]:
    """Group the newest 5,000 failed jobs that fit, those with the newest jobs first.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    conditions = [*wanted.indexed(), _table.c.status == Status.FAILED]
    rows = select(
        *(_table.c.job_id, _table.c.job_type, _table.c.dead_at, _table.c.created_at),
        func.coalesce(_table.c.error, "").label("error"),
    ).where(*conditions)
    newest = rows.order_by(_table.c.created_at.desc(), _table.c.id.desc()).limit(GROUPED)
    job = newest.cte("newest").prefix_with("MATERIALIZED").c
    age = func.floor(func.extract("epoch", func.now() - job.created_at) / 3600)
    mark = fingerprint_of(job.error)
    query = (
        select(
            *(job.job_type, mark.label("fingerprint"), func.count().label("jobs")),
            func.count(job.dead_at).label("dead"),
            *(func.min(job.created_at).label("first"), func.max(job.created_at).label("last")),
            func.array_agg(aggregate_order_by(job.job_id, job.created_at.desc()))[1].label("id"),
            func.array_agg(aggregate_order_by(job.error, job.created_at.desc()))[1].label("error"),
            type_coerce(func.array_agg(func.least(age, HOURS)), ARRAY(INTEGER)).label("ages"),
        )
        .group_by(job.job_type, mark)
        .order_by(func.max(job.created_at).desc())
    )
    found = in_transaction(lambda tx: tx.execute(query).all())
    return [
        ErrorGroup(
            *(row.job_type, row.fingerprint, row.jobs, row.dead, row.first, row.last),
            *(row.id, row.error, _by_hour(list(map(int, row.ages)))),
        )
        for row in found
    ]


def _by_hour(ages: list[int]) -> list[int]:
    return [ages.count(ago) for ago in reversed(range(HOURS))]
