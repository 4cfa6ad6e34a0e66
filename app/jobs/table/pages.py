"""Jobs newest first, a page at a time: as fast on the last page of ten million as on the first.

Pages follow each other by key, not by number: a page begins where the one before ended, in the
order of `created_at` and `id`, in which every filter has an index.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import ColumnElement, Table, select, tuple_

from ..errors import InvalidOption
from .db import db
from .filters import Filter
from .models import JobExecution

#: What no index finds is searched in this many jobs at a time, such as a piece of an error's text:
#: a page must not take longer the rarer it is.
SEARCHED = 5_000

_table = cast("Table", JobExecution.__table__)
_KEY = (_table.c.created_at, _table.c.id)
_Conditions = list[ColumnElement[bool]]
_NEWEST_FIRST = (_table.c.created_at.desc(), _table.c.id.desc())


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first.

    Attributes:
        after: What to ask for the next page with; None where there is none.
        searched_to: Where was looked for what no index finds, and there are older jobs to look in:
            when the oldest of those looked at was recorded.
    """

    jobs: list[JobExecution]
    after: str | None = None
    searched_to: datetime | None = None


def list_jobs(wanted: Filter, *, after: str | None = None, limit: int = 20) -> Page:
    """Return the newest jobs that fit, or those that follow a page.

    Args:
        wanted: May be empty: all jobs.
        after: `Page.after` of the page before.
        limit: Jobs per page.

    Raises:
        InvalidOption: `after` is none that a page gave.
    """
    conditions = wanted.indexed()
    if after is not None:
        conditions.append(tuple_(*_KEY) < tuple_(*_position(after)))
    return _search(conditions, wanted, limit) if wanted.searched() else _page(conditions, limit)


def is_recorded(job_type: str) -> bool:
    """Tell whether there are jobs of a type, also of one that the app does not know."""
    query = select(_table.c.id).where(_table.c.job_type == job_type).limit(1)
    return db.session.scalar(query) is not None


def _page(conditions: _Conditions, limit: int) -> Page:
    query = select(JobExecution).where(*conditions).order_by(*_NEWEST_FIRST)
    rows = list(db.session.scalars(query.limit(limit + 1)))
    return _first(rows, limit) if len(rows) > limit else Page(rows)


def _search(conditions: _Conditions, wanted: Filter, limit: int) -> Page:
    """Look for what no index finds in the next jobs that may have it."""
    conditions = [*conditions, *wanted.near()]
    # The limit comes first: PostgreSQL may not look into more rows.
    near = select(*_KEY, *wanted.looked_into()).where(*conditions).order_by(*_NEWEST_FIRST)
    job = near.limit(SEARCHED).subquery().c
    found = select(job.id).where(*wanted.searched(job))
    found = found.order_by(job.created_at.desc(), job.id.desc()).limit(limit + 1)
    query = select(JobExecution).where(_table.c.id.in_(found)).order_by(*_NEWEST_FIRST)
    rows = list(db.session.scalars(query))
    if len(rows) > limit:
        return _first(rows, limit)
    end = select(*_KEY).where(*conditions).order_by(*_NEWEST_FIRST).offset(SEARCHED - 1).limit(1)
    last = db.session.execute(end).one_or_none()
    return Page(rows) if last is None else Page(rows, _cursor(*last), last.created_at)


def _first(rows: list[JobExecution], limit: int) -> Page:
    """Return a page of all but the last row, which is only there to show that there are more."""
    last = rows[limit - 1]
    return Page(rows[:limit], _cursor(last.created_at, last.id))


def _cursor(created_at: datetime, key: int) -> str:
    return urlsafe_b64encode(f"{created_at.isoformat()} {key}".encode()).decode().rstrip("=")


def _position(after: str) -> tuple[datetime, int]:
    try:
        padded = after + "=" * (-len(after) % 4)
        created_at, key = urlsafe_b64decode(padded.encode()).decode().split(" ")
        # Aware, or PostgreSQL would read it in its own time zone; and within its numbers.
        return datetime.fromisoformat(created_at).astimezone(UTC), max(
            -(2**63), min(int(key), 2**63 - 1)
        )
    except (ValueError, OverflowError) as error:
        raise InvalidOption(
            f"after: {after!r} is not a cursor; use the one that the previous page printed"
        ) from error
