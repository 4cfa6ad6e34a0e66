"""Which jobs a list or a manual action is about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Table, Text, func, select
from sqlalchemy.dialects.postgresql import array

from ..errors import ActionRefused
from ..values import jsonb
from ..values.ids import OwnerId
from .models import JobExecution, Status

_table = cast("Table", JobExecution.__table__)

_EQUAL = (
    *("status", "job_type", "user_id", "organization_id", "message_id", "schedule_id"),
    *("idempotency_key", "parent_id", "batch_id"),
)
#: Of these, each is that of few jobs.
_FEW = ("message_id", "idempotency_key", "parent_id")


#: What no index finds is searched in this many jobs at a time, such as a piece of an error's text:
#: a page must not take longer the rarer it is.
SEARCHED = 5_000
#: Or in this many that have a tag, which no index gives newest first.
SEARCHED_TAGGED = 500


class Near(NamedTuple):
    """Jobs among which to look, by what an index gives, and how many of them at a time."""

    conditions: list[ColumnElement[bool]]
    many: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions that must all hold.

    Attributes:
        job_ids: Just these.
        dead: True for jobs that will not be tried again, False for failed ones that will.
        message_id: QStash's id of the message that the job waits for, or last ran by.
        schedule_id: QStash's id of the schedule whose firing the job is.
        batch_id: The batch that the job is of, or follows.
        older_than: Seconds since the job was recorded, at least.
        newer_than: Seconds since the job was recorded, at most.
        recorded_from: When the job was recorded, at the earliest.
        recorded_to: When it was, at the latest.
        due_within: Seconds until it may be delivered, at most; below 0 for jobs that are that late.
        idempotency_key: As `enqueue` was given it.
        queue: The queue of QStash's that it is delivered through.
        field: What a field of the payload is, as its path and its text: `("customer.id", "7")`.
        error: A piece of the error's text, in any case.
        fingerprint: What errors of one kind have in common; see `error_groups`.
        parent_id: The job whose handler enqueued it.
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
    batch_id: str | None = None
    recorded_from: datetime | None = None
    recorded_to: datetime | None = None
    due_within: float | None = None
    idempotency_key: str | None = None
    queue: str | None = None
    field: tuple[str, str] | None = None
    error: str | None = None
    fingerprint: str | None = None
    parent_id: str | None = None
    tags: tuple[str, ...] = ()
    everything: bool = False

    def __post_init__(self) -> None:
        """Have texts as the table has them, which holds no NUL and no half of a character."""
        for one in fields(self):
            value = getattr(self, one.name)
            if type(value) is str:
                object.__setattr__(self, one.name, jsonb.clean_text(value))
            elif isinstance(value, tuple):
                object.__setattr__(self, one.name, tuple(map(jsonb.clean_text, value)))

    def as_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name: value for name, value in values.items() if value is not None}
        return {
            name: _as_json(value)
            for name, value in given.items()
            if value != () and (name != "everything" or value)
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Filter":
        """Return the filter that `as_json` returned."""
        read: dict[str, Callable[[Any], Any]] = {
            "job_ids": tuple,
            "field": tuple,
            "tags": tuple,
            "status": Status,
            "recorded_from": datetime.fromisoformat,
            "recorded_to": datetime.fromisoformat,
        }
        return cls(**{name: read.get(name, _same)(value) for name, value in given.items()})

    def as_of(self, now: datetime) -> "Filter":
        """Return the filter for the jobs that there are at a moment, whenever it is used."""
        newer, older = self.newer_than, self.older_than
        since = [self.recorded_from, None if newer is None else _before(now, newer)]
        until = [self.recorded_to, None if older is None else _before(now, older), now]
        return replace(
            self,
            newer_than=None,
            older_than=None,
            recorded_from=max(filter(None, since), default=None),
            recorded_to=min(filter(None, until)),
        )

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filter as SQL, for an action.

        Raises:
            ActionRefused: It is empty, and nobody said that all jobs are meant.
        """
        if not self.as_json():
            raise ActionRefused
        return [*self.indexed(), *self.searched()]

    def indexed(self, column: Any = _table.c) -> list[ColumnElement[bool]]:
        """Return the conditions of which each has an index that gives the newest jobs first.

        Args:
            column: The columns of the table, or of a subquery.
        """
        asked: list[ColumnElement[bool] | None] = [
            column.job_id.in_(self.job_ids) if self.job_ids else None,
            *(
                column[name] == getattr(self, name)
                for name in _EQUAL
                if getattr(self, name) is not None
            ),
            column.tags.contains(list(self.tags)) if self.tags else None,
            None if self.dead is None else _dead(column, self.dead),
            None if self.due_within is None else _due(self.due_within),
            None if self.batch_id is None else _among(column, self.batch_id),
        ]
        return [*(one for one in asked if one is not None), *self.times(column)]

    def key(self, column: Any = _table.c) -> tuple[ColumnElement[Any], ...]:
        """Return the columns by which the newest are the greatest, as the jobs' index has them.

        A batch's jobs are read, and changed, in the order in which they were recorded.
        """
        return (column.id,) if self.batch_id is not None else (column.created_at, column.id)

    def times(self, column: Any = _table.c) -> list[ColumnElement[bool]]:
        """Return what is asked of when the job was recorded, in whose order each index is."""
        at = column.created_at
        asked: list[ColumnElement[bool] | None] = [
            None if self.older_than is None else at <= _ago(self.older_than),
            None if self.newer_than is None else at >= _ago(self.newer_than),
            None if self.recorded_from is None else at >= self.recorded_from,
            None if self.recorded_to is None else at <= self.recorded_to,
        ]
        return [one for one in asked if one is not None]

    def leading(self) -> Near | None:
        """Return what one index gives alone, where no index gives all that is asked for.

        Jobs that have the one seldom have the other, as far as anyone knows: who looks for all at
        once may read all jobs. None where that cannot be.
        """
        if self.job_ids or self.due_within is not None or any(map(self._is_given, _FEW)):
            return None
        column, is_over = _table.c, self.status == Status.COMPLETED
        asked = {
            name: column[name] == getattr(self, name)
            for name in ("user_id", "schedule_id", "organization_id", "job_type")
            if self._is_given(name)
        }
        if self.batch_id is not None:
            asked["batch_id"] = (column.batch_id == self.batch_id) & _among(column, self.batch_id)
        found = {
            "batch_id": asked.get("batch_id"),
            "user_id": asked.get("user_id"),
            "schedule_id": asked.get("schedule_id"),
            "tags": column.tags.contains(list(self.tags)) if self.tags else None,
            "error": next(iter(self.near()), None),
            "organization_id": asked.get("organization_id"),
            "dead": None if self.dead is None else _dead(column, self.dead),
            "status": None if self.status is None or is_over else column.status == self.status,
            "job_type": asked.get("job_type"),
            "completed": column.status == Status.COMPLETED if is_over else None,
        }
        if self.dead is not None:
            del found["status"]  # of which that is a part
        given = {name: one for name, one in found.items() if one is not None}
        if len(given) < 2:  # noqa: PLR2004 - then one index has it all
            return None
        name, condition = next(iter(given.items()))
        many = SEARCHED_TAGGED if name == "tags" else SEARCHED
        return Near([condition, *self.times()], many)

    def _is_given(self, name: str) -> bool:
        return getattr(self, name) is not None

    def searched(self, row: Any = _table.c) -> list[ColumnElement[bool]]:
        """Return the conditions that no index finds, for the columns of a table or a subquery."""
        found: list[ColumnElement[bool]] = []
        if self.error is not None:
            found.append(row.error.icontains(self.error, autoescape=True))
        if self.fingerprint is not None:
            found.append(fingerprint_of(row.error) == self.fingerprint)
        if self.queue is not None:
            found.append(row.queue == self.queue)
        if self.field is not None:
            path, text = self.field
            names = array(["payload", *path.split(".")], type_=Text)
            found.append(row.payload.op("#>>", return_type=Text)(names) == text)
        return found

    def near(self) -> list[ColumnElement[bool]]:
        """Return what has to be so of a job that `searched` finds, and an index may know."""
        is_of_error = self.error is not None or self.fingerprint is not None
        return [_table.c.error.is_not(None)] if is_of_error else []


#: What differs between errors of one kind: UUIDs, addresses in memory, numbers.
_VARIES = "[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|0x[0-9a-fA-F]+|[0-9]+"


def fingerprint_of(error: ColumnElement[str | None]) -> ColumnElement[str]:
    """Return what errors of one kind have in common, as SQL: twelve hexadecimal digits."""
    same = func.regexp_replace(func.left(error, 300), _VARIES, "#", "g")
    return func.left(func.md5(same), 12)


def _same(value: Any) -> Any:
    return value


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _among(column: Any, batch_id: str) -> ColumnElement[bool]:
    """Say between which ids a batch's jobs are.

    PostgreSQL may read a large batch in the order of the primary key: then it would go on, past
    the last of the batch, through all jobs that there are. To find the two ids it might do so, too,
    if it knew that all have the same batch.
    """
    job = _table.alias("of_batch").c
    of_batch = select(job.id).where(job.batch_id.between(batch_id, batch_id)).limit(1)
    first = of_batch.order_by(job.batch_id, job.id)
    last = of_batch.order_by(job.batch_id.desc(), job.id.desc())
    found: ColumnElement[bool] = column.id.between(first.scalar_subquery(), last.scalar_subquery())
    return found


def _due(seconds: float) -> ColumnElement[bool]:
    when = func.coalesce(_table.c.available_at, _table.c.created_at)
    return (_table.c.status == Status.PENDING) & (when <= _ago(-seconds))


def _ago(seconds: float) -> datetime:
    """Return the moment; one before the calendar begins is its beginning."""
    return _before(datetime.now(UTC), seconds)


def _before(now: datetime, seconds: float) -> datetime:
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        if seconds < 0:
            return datetime.max.replace(tzinfo=UTC)
        return datetime.min.replace(tzinfo=UTC)


def _dead(column: Any, dead: bool) -> ColumnElement[bool]:  # noqa: FBT001 - the value of the field, not a mode
    ended = column.dead_at.is_not(None) if dead else column.dead_at.is_(None)
    found: ColumnElement[bool] = (column.status == Status.FAILED) & ended
    return found
