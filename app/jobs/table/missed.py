"""Firings of schedules that were missed, and the jobs that make up for them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import JSONB

from .firings import TURN
from .job_rows import TO_PUBLISH
from .pauses import holding

_TO_CATCH_UP = text(
    "SELECT *, now() AS now FROM job_schedules WHERE rules ? 'catchUp' ORDER BY schedule_id"
).columns(rules=JSONB, options=JSONB)
_RECORDED = text(
    """
    SELECT scheduled_for FROM job_firings
     WHERE schedule_id = :schedule_id AND scheduled_for > :since
    """
)
_ACCOUNT = text(
    """
    UPDATE job_schedules SET accounted_until = :until, cron = :cron
     WHERE schedule_id = :schedule_id
    """
)
_PLACE = text(
    f"""
    UPDATE job_executions AS job SET pause = coalesce(CAST(:turn AS text), {holding("job")})
     WHERE job_id = ANY(CAST(:job_ids AS text[])) AND status = 'pending'
    """  # noqa: S608 - the only values in the text are this package's
)
_MAKES_UP = text(
    "SELECT EXISTS (SELECT FROM job_schedules WHERE schedule_id = :schedule_id"
    " AND rules ? 'catchUp')"
)
_MADE_UP = text(
    f"""
    SELECT {TO_PUBLISH} FROM job_executions AS job WHERE job_id = ANY(CAST(:job_ids AS text[]))
    """  # noqa: S608 - as above
).columns(payload=JSONB, options=JSONB)


def to_catch_up(connection: Connection) -> Sequence[Row[Any]]:
    """Return the schedules whose missed firings are made up for, with `now`."""
    return connection.execute(_TO_CATCH_UP).all()


def recorded(connection: Connection, schedule_id: str, since: datetime) -> set[datetime]:
    """Return the moments after one of which it is known what became of their firings."""
    given = {"schedule_id": schedule_id, "since": since}
    return set(connection.execute(_RECORDED, given).scalars())


def account(connection: Connection, schedule_id: str, until: datetime, cron: str) -> None:
    """Have no firing up to a moment count as missed any more."""
    given = {"schedule_id": schedule_id, "until": until, "cron": cron}
    connection.execute(_ACCOUNT, given)


def place(
    connection: Connection, job_ids: Sequence[str], *, in_line: bool, schedule_id: str
) -> None:
    """Have jobs that were just recorded wait for their turn, or for a pause that holds them."""
    turn = f"{TURN}{schedule_id}" if in_line else None
    connection.execute(_PLACE, {"job_ids": list(job_ids), "turn": turn})


def makes_up(connection: Connection, schedule_id: str) -> bool:
    """Tell whether a sweep makes up for the firings that a schedule misses."""
    return bool(connection.execute(_MAKES_UP, {"schedule_id": schedule_id}).scalar())


def rows_of(connection: Connection, job_ids: Sequence[str]) -> Sequence[Row[Any]]:
    """Return jobs, with the columns of `job_rows.TO_PUBLISH`."""
    return connection.execute(_MADE_UP, {"job_ids": list(job_ids)}).all()
