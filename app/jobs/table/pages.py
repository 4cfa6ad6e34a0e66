"""Jobs newest first, a page at a time: as fast on the last page of ten million as on the first.

Pages follow each other by key, not by number: a page begins where the one before ended, in the
order of `created_at` and `id`, in which every filter has an index; a batch's in that of `id`.
"""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, UnaryExpression, select, tuple_

from ..errors import InvalidOption
from ..values import jsonb
from .db import db
from .filters import SEARCHED, Filter, Near
from .models import JobExecution

_table = cast("Table", JobExecution.__table__)
_Conditions = list[ColumnElement[bool]]
_Position = tuple[datetime, int]


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


def list_jobs(
    wanted: Filter, *, after: str | None = None, limit: int = 20, patience: float | None = None
) -> Page:
    """Return the newest jobs that fit, or those that follow a page.

    Args:
        wanted: May be empty: all jobs.
        after: `Page.after` of the page before.
        limit: Jobs per page.
        patience: Seconds after which what is asked for together, but no one index has, such as a
            type and a tag, is searched no further; without, such a page takes as long as it takes.

    Raises:
        InvalidOption: `after` is none that a page gave.
    """
    near = wanted.leading() if patience is not None else None
    position = None if after is None else _position(after)
    if near is None and not wanted.searched():
        return _page(wanted, position, limit)
    near = near or Near([*wanted.indexed(), *wanted.near()], SEARCHED)
    return _search(near, wanted, position, limit, time.monotonic() + (patience or 0))


def is_recorded(job_type: str) -> bool:
    """Tell whether there are jobs of a type, also of one that the app does not know."""
    wanted = jsonb.clean_text(job_type)
    query = select(_table.c.id).where(_table.c.job_type == wanted).limit(1)
    return db.session.scalar(query) is not None


def _page(wanted: Filter, position: _Position | None, limit: int) -> Page:
    conditions = [*wanted.indexed(), *_after(wanted, position)]
    query = select(JobExecution).where(*conditions).order_by(*_newest_first(wanted))
    rows = list(db.session.scalars(query.limit(limit + 1)))
    return _first(rows, limit) if len(rows) > limit else Page(rows)


def _search(
    near: Near, wanted: Filter, position: _Position | None, limit: int, deadline: float
) -> Page:
    """Look for what no index finds in the next jobs that may have it, until the page is full."""
    found: list[JobExecution] = []
    newest_first = _newest_first(wanted)
    while True:
        conditions = [*near.conditions, *_after(wanted, position)]
        # The limit comes first: PostgreSQL may not look into more rows.
        looked_into = select(_table).where(*conditions).order_by(*newest_first)
        job = looked_into.limit(near.many).subquery().c
        fitting = select(job.id).where(*wanted.indexed(job), *wanted.searched(job))
        fitting = fitting.order_by(*_newest_first(wanted, job))
        fitting = fitting.limit(limit + 1 - len(found))
        query = select(JobExecution).where(_table.c.id.in_(fitting)).order_by(*newest_first)
        found += db.session.scalars(query)
        if len(found) > limit:
            return _first(found, limit)
        end = select(_table.c.created_at, _table.c.id).where(*conditions).order_by(*newest_first)
        last = db.session.execute(end.offset(near.many - 1).limit(1)).one_or_none()
        if last is None:
            return Page(found)
        position = (last.created_at, last.id)
        if time.monotonic() >= deadline:
            return Page(found, _cursor(*position), last.created_at)


def _newest_first(wanted: Filter, column: Any = _table.c) -> list[UnaryExpression[Any]]:
    return [one.desc() for one in wanted.key(column)]


def _after(wanted: Filter, position: _Position | None) -> _Conditions:
    key = wanted.key()
    return [] if position is None else [tuple_(*key) < tuple_(*position[-len(key) :])]


def _first(rows: list[JobExecution], limit: int) -> Page:
    """Return a page of all but the last row, which is only there to show that there are more."""
    last = rows[limit - 1]
    return Page(rows[:limit], _cursor(last.created_at, last.id))


def _cursor(created_at: datetime, key: int) -> str:
    return urlsafe_b64encode(f"{created_at.isoformat()} {key}".encode()).decode().rstrip("=")


def _position(after: str) -> _Position:
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
