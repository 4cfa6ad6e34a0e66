"""The jobs that one has to do with: who enqueued it, what it enqueued, and its namesakes."""

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, select

from .db import db
from .models import JobExecution

#: How many are shown of each kind, and among how many of them those are the newest.
SHOWN, AMONG = 5, 1_000

_table = cast("Table", JobExecution.__table__)


@dataclass(frozen=True, slots=True)
class Related:
    """The newest jobs of each kind.

    Attributes:
        parent: The job whose handler enqueued it, unless that is deleted.
        children: Those that its own handler enqueued.
        same_key: Those with its idempotency key, of other types or organizations.
        same_schedule: The other firings of its schedule.
    """

    parent: list[JobExecution]
    children: list[JobExecution]
    same_key: list[JobExecution]
    same_schedule: list[JobExecution]


def related_to(row: JobExecution, *, organization_id: Any = None) -> Related:
    """Return what a job has to do with, of one organization where that is given."""
    column = _table.c
    of = [] if organization_id is None else [column.organization_id == organization_id]
    key, schedule = row.idempotency_key, row.schedule_id
    return Related(
        parent=_newest(column.job_id == row.parent_id, *of) if row.parent_id else [],
        children=_newest(column.parent_id == row.job_id, *of),
        same_key=_newest(column.idempotency_key == key, column.id != row.id, *of) if key else [],
        same_schedule=_of_schedule(schedule, column.id != row.id, *of) if schedule else [],
    )


def _newest(*conditions: ColumnElement[bool]) -> list[JobExecution]:
    """Return the newest of the jobs that a lookup finds, whose index has no order."""
    found = select(_table.c.id).where(*conditions).limit(AMONG).cte().prefix_with("MATERIALIZED")
    query = select(JobExecution).where(_table.c.id.in_(select(found.c.id)))
    return _first(query)


def _of_schedule(schedule_id: str, *conditions: ColumnElement[bool]) -> list[JobExecution]:
    return _first(select(JobExecution).where(_table.c.schedule_id == schedule_id, *conditions))


def _first(query: Any) -> list[JobExecution]:
    ordered = query.order_by(_table.c.created_at.desc(), _table.c.id.desc()).limit(SHOWN)
    return list(db.session.scalars(ordered))
