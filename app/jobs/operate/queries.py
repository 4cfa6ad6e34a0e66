"""The table of jobs for your own code: make a row, read one, change one by hand.

Fields are the table's columns, in snake_case or as the wire has them: `retry_count`, `retryCount`.
Without a `session`, a change is committed when the call returns; with one it joins that session's
transaction, as `enqueue` does.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, Table, null, text
from sqlalchemy.exc import OperationalError

from ..enqueue.terms import Owner
from ..errors import InvalidOption, PublishError, UpdateRefused, quoted
from ..publish import relay
from ..schemas import camel_case
from ..table import by_hand, job_rows
from ..table.db import in_transaction
from ..table.models import JobExecution, Status
from ..table.sessions import AnySession, callers_connection
from ..values import ids, jsonb
from ..values.nearest import hint

log = logging.getLogger(__name__)

MAX_TYPE_LENGTH = 100
MAX_COUNT = 2**31 - 1

#: What the database keeps at the ends of Python's calendar, it may return as none of Python's.
_EARLIEST, _LATEST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)

_table = cast("Table", JobExecution.__table__)
# The transaction that holds the row may be the caller's own, which waits for this.
_NOT_FOR_EVER = text("SET LOCAL lock_timeout = '3s'")


def create_job_execution(
    data: Mapping[str, Any], *, session: AnySession | None = None
) -> JobExecution:
    """Record a job that you publish yourself; `enqueue` records and publishes.

    Args:
        data: `job_id`, `job_type` and `payload` (the envelope) at least. A `status` other than
            `pending` brings along what belongs to it, as in `update_job_execution`.
        session: Records in this session's transaction.

    Raises:
        UpdateRefused: A field is missing, unknown or of the wrong kind, or the id is taken.
        InvalidOption: `session` is none.
    """
    values = _checked(data, known=(*_IDENTITY, *_CHANGEABLE))
    missing = [name for name in (*_IDENTITY, "payload") if name not in values]
    if missing:
        raise UpdateRefused(f"required: {', '.join(missing)}")
    if not _in(session, lambda tx: by_hand.insert_row(tx, values)):
        raise UpdateRefused(f"job {values['job_id']} already exists")
    made = job_rows.get_job_execution_by_job_id(values["job_id"])
    return cast("JobExecution", made)


def update_job_execution(
    job_id: str, updates: Mapping[str, Any], *, session: AnySession | None = None
) -> None:
    """Change fields of a job by hand.

    A `status` brings along what belongs to it, unless `updates` says otherwise: `failed` is dead,
    what has ended has a `completed_at`. One that the job has already brings nothing. A job that
    becomes `pending` is put back: it starts afresh, the message and the dead letter that it had at
    QStash count no more, and the next sweep publishes it.

    Args:
        job_id: As `enqueue` returned it.
        updates: The fields to change; the others stay.
        session: Changes the row in this session's transaction.

    Raises:
        UpdateRefused: A field is unknown or of the wrong kind; nothing was changed.
        InvalidOption: `session` is none.
        IllegalTransition: No such job, or its status cannot become that; also an `UpdateRefused`.
    """
    values = _checked(updates, known=_CHANGEABLE)
    old = (
        _changed(job_id, values)
        if session is None
        else by_hand.change_row(callers_connection(session), job_id, values)
    )
    is_put_back = values.get("status") == Status.PENDING != old.status
    # Of a transaction that the caller may yet roll back, QStash is not told: a delivery that still
    # comes claims the job like any other.
    if is_put_back and session is None and old.message_id and old.dead_at is None:
        _withdraw(job_id, old.message_id)


def _changed(job_id: str, values: dict[str, Any]) -> Any:
    """Change the row in its own transaction, without waiting long for another."""

    def work(connection: Connection) -> Any:
        connection.execute(_NOT_FOR_EVER)
        try:
            return by_hand.change_row(connection, job_id, values)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            raise UpdateRefused(
                f"job {job_id} is being changed by another transaction; if it is yours, "
                "pass session="
            ) from None

    return in_transaction(work)


def _withdraw(job_id: str, message_id: str) -> None:
    """Have QStash forget the message of a job that is put back, if it can be reached."""
    try:
        relay.withdraw([message_id])
    except PublishError as error:
        about = {"jobId": job_id, "error": str(error)}
        log.warning("[jobs] Message not withdrawn from QStash", extra=about)


def _in(session: AnySession | None, work: Callable[[Connection], Any]) -> Any:
    return in_transaction(work) if session is None else work(callers_connection(session))


def _checked(given: Mapping[str, Any], *, known: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields by column, each of its kind."""
    if not isinstance(given, Mapping):
        raise UpdateRefused(f"{type(given).__name__} is not a mapping of a job's fields to values")
    named = {camel_case(name): name for name in known} | {name: name for name in known}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in named:
            raise UpdateRefused(_unknown(name, known))
        column = named[name]
        if column in values:
            raise UpdateRefused(f"{column} is given twice")
        values[column] = _CHECKS[column](column, value)
    return values


def _unknown(name: str, known: tuple[str, ...]) -> str:
    if name in _table.c or name in map(camel_case, _table.c.keys()):
        return f"{name} cannot be written by hand; these can: {', '.join(known)}"
    return f"a job has no field {name!r}; {hint(str(name), known)}"


def _status(_: str, value: Any) -> Status:
    try:
        return Status(value)
    except ValueError:
        raise UpdateRefused(f"status: {quoted(value)} is none of {', '.join(Status)}") from None


def _id(name: str, value: Any) -> str:
    if not ids.is_job_id(value):
        raise UpdateRefused(
            f"{name}: {quoted(value)} is not a job's id: one line of 1 to {ids.MAX_LENGTH} "
            "characters"
        )
    return str(value)


def _type(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TYPE_LENGTH:
        raise UpdateRefused(
            f"{name}: {quoted(value)} is not a text of 1 to {MAX_TYPE_LENGTH} characters"
        )
    return jsonb.clean_text(value)


def _object(name: str, value: Any) -> dict[str, Any]:
    try:
        if not isinstance(value, Mapping):
            raise ValueError(f"{type(value).__name__} is not an object")  # noqa: TRY301, TRY004 - said like the others
        jsonb.dumps(dict(value))
    except ValueError as error:
        raise UpdateRefused(f"{name}: {error}") from None
    return dict(value)


def _result(name: str, value: Any) -> Any:
    return null() if value is None else _object(name, value)


def _error(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise UpdateRefused(f"{name}: {quoted(value)} is neither a text nor None")
    return value and jsonb.clean_text(value)


def _count(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise UpdateRefused(f"{name}: {quoted(value)} is not a whole number of 0 or more")
    return value


def _owner(name: str, value: Any) -> Any:
    try:
        return getattr(Owner(**{name: value}), name)
    except InvalidOption as error:
        raise UpdateRefused(str(error)) from None


def _moment(name: str, value: Any) -> datetime | None:
    if value is not None and not (isinstance(value, datetime) and value.tzinfo):
        raise UpdateRefused(f"{name}: {quoted(value)} is not an aware datetime; add a time zone")
    if value is not None and not _EARLIEST < value.replace(tzinfo=UTC) < _LATEST:
        raise UpdateRefused(
            f"{name}: {quoted(value)} is at the edge of the calendar, where it could not be read "
            "again; give a moment that was"
        )
    return value


def _known_moment(name: str, value: Any) -> datetime:
    moment = _moment(name, value)
    if moment is None:
        raise UpdateRefused(f"{name}: every job has one")
    return moment


_IDENTITY = ("job_id", "job_type")
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "job_id": _id,
    "job_type": _type,
    "status": _status,
    "payload": _object,
    "result": _result,
    "error": _error,
    "retry_count": _count,
    "user_id": _owner,
    "organization_id": _owner,
    "started_at": _moment,
    "completed_at": _moment,
    "created_at": _known_moment,
    "updated_at": _known_moment,
}
_CHANGEABLE = tuple(name for name in _CHECKS if name not in _IDENTITY)
