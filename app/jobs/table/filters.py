"""Which jobs a list or a manual action is about."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, func

from ..errors import ActionRefused
from ..values.ids import OwnerId
from .models import JobExecution, Status

_table = cast("Table", JobExecution.__table__)

_EQUAL = ("status", "job_type", "user_id", "organization_id", "message_id", "schedule_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions that must all hold.

    Attributes:
        job_ids: Just these.
        dead: True for jobs that will not be tried again, False for failed ones that will.
        message_id: QStash's id of the message that the job waits for, or last ran by.
        schedule_id: QStash's id of the schedule whose firing the job is.
        older_than: Seconds since the job was recorded, at least.
        newer_than: Seconds since the job was recorded, at most.
        error: A piece of the error's text, in any case.
        fingerprint: What errors of one kind have in common; see `error_groups`.
        tags: All of them are the job's.
        everything: That no other condition is given is on purpose.
    """

    job_ids: tuple[str, ...] = ()
    status: Status | None = None
    job_type: str | None = None
    dead: bool | None = None
    older_than: float | None = None
    newer_than: float | None = None
    user_id: OwnerId | None = None
    organization_id: OwnerId | None = None
    message_id: str | None = None
    schedule_id: str | None = None
    error: str | None = None
    fingerprint: str | None = None
    tags: tuple[str, ...] = ()
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
        """Return the filter as SQL, for an action.

        Raises:
            ActionRefused: It is empty, and nobody said that all jobs are meant.
        """
        if not self.as_json():
            raise ActionRefused
        return [*self.indexed(), *self.searched()]

    def indexed(self) -> list[ColumnElement[bool]]:
        """Return the conditions of which each has an index that gives the newest jobs first."""
        column = _table.c
        asked: list[ColumnElement[bool] | None] = [
            column.job_id.in_(self.job_ids) if self.job_ids else None,
            *(
                column[name] == getattr(self, name)
                for name in _EQUAL
                if getattr(self, name) is not None
            ),
            _table.c.tags.contains(list(self.tags)) if self.tags else None,
            None if self.dead is None else _dead(self.dead),
            None if self.older_than is None else column.created_at <= _ago(self.older_than),
            None if self.newer_than is None else column.created_at >= _ago(self.newer_than),
        ]
        return [condition for condition in asked if condition is not None]

    def searched(
        self, error: ColumnElement[str | None] = _table.c.error
    ) -> list[ColumnElement[bool]]:
        """Return the conditions that have to look into each error's text, in a column."""
        found: list[ColumnElement[bool]] = []
        if self.error is not None:
            found.append(error.icontains(self.error, autoescape=True))
        if self.fingerprint is not None:
            found.append(fingerprint_of(error) == self.fingerprint)
        return found


#: What differs between errors of one kind: UUIDs, addresses in memory, numbers.
_VARIES = "[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|0x[0-9a-fA-F]+|[0-9]+"


def fingerprint_of(error: ColumnElement[str | None]) -> ColumnElement[str]:
    """Return what errors of one kind have in common, as SQL: twelve hexadecimal digits."""
    same = func.regexp_replace(func.left(error, 300), _VARIES, "#", "g")
    return func.left(func.md5(same), 12)


def _ago(seconds: float) -> datetime:
    """Return the moment; one before the calendar begins is its beginning."""
    try:
        return datetime.now(UTC) - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _dead(dead: bool) -> ColumnElement[bool]:  # noqa: FBT001 - the value of the field, not a mode
    ended = _table.c.dead_at.is_not(None) if dead else _table.c.dead_at.is_(None)
    return (_table.c.status == Status.FAILED) & ended
