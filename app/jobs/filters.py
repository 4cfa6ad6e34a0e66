"""Which jobs a manual action is about."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Table

from app.jobs.errors import ActionRefused
from app.jobs.models import JobExecution, Status

_table = cast("Table", JobExecution.__table__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions that must all hold.

    Attributes:
        job_ids: Just these.
        dead: True for jobs that will not be tried again, False for failed ones that will.
        older_than: Seconds since the job was recorded, at least.
        newer_than: Seconds since the job was recorded, at most.
        error: A piece of the error's text, in any case.
        everything: That no other condition is given is on purpose.
    """

    job_ids: tuple[str, ...] = ()
    status: Status | None = None
    job_type: str | None = None
    dead: bool | None = None
    older_than: float | None = None
    newer_than: float | None = None
    organization_id: int | None = None
    error: str | None = None
    everything: bool = False

    def as_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name: value for name, value in values.items() if value is not None}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value != () and (name != "everything" or value)
        }

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filter as SQL.

        Raises:
            ActionRefused: It is empty, and nobody said that all jobs are meant.
        """
        if not self.as_json():
            raise ActionRefused
        now, column = datetime.now(UTC), _table.c
        equal = ("status", "job_type", "organization_id")
        asked: list[ColumnElement[bool] | None] = [
            column.job_id.in_(self.job_ids) if self.job_ids else None,
            *(
                column[name] == getattr(self, name)
                for name in equal
                if getattr(self, name) is not None
            ),
            None if self.dead is None else _dead(self.dead),
            None
            if self.older_than is None
            else column.created_at <= now - timedelta(seconds=self.older_than),
            None
            if self.newer_than is None
            else column.created_at >= now - timedelta(seconds=self.newer_than),
            None if self.error is None else column.error.icontains(self.error, autoescape=True),
        ]
        return [condition for condition in asked if condition is not None]


def _dead(dead: bool) -> ColumnElement[bool]:  # noqa: FBT001 - the value of the field, not a mode
    ended = _table.c.dead_at.is_not(None) if dead else _table.c.dead_at.is_(None)
    return (_table.c.status == Status.FAILED) & ended
