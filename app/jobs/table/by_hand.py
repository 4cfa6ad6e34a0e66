"""Rows made and changed by hand: a status brings along what belongs to it."""

from typing import Any, cast

from sqlalchemy import Connection, Row, Table, bindparam, func, null, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from ..errors import IllegalTransition
from ..values import ids, jsonb
from .models import TRANSITIONS, JobExecution, Status
from .unique_sql import is_taken

_table = cast("Table", JobExecution.__table__)
_FOR_UPDATE = (
    select(_table.c.status, _table.c.message_id, _table.c.dead_at)
    .where(_table.c.job_id == bindparam("job_id"))
    .with_for_update()
)

# Who ran it is in the envelope, where a firing has its cron.
_MAKE_RUN = text(
    """
    UPDATE job_executions
       SET schedule_id = :schedule_id,
           payload = jsonb_set(payload, '{metadata,runBy}', to_jsonb(CAST(:by AS text)))
     WHERE job_id = :job_id
    """
)
#: A schedule's job that its firing made, and not somebody who ran it.
FIRED = "payload->'metadata'->>'runBy' IS NULL"


def make_run(connection: Connection, job_id: str, schedule_id: str, by: str) -> None:
    """Have a new job be one of a schedule's, which somebody ran."""
    given = {"job_id": job_id, "schedule_id": schedule_id, "by": jsonb.clean_text(by)}
    connection.execute(_MAKE_RUN, given)


def insert_row(connection: Connection, values: dict[str, Any]) -> bool:
    """Make a row; tell whether its id was free."""
    status = values.get("status")
    begun = {} if status == Status.PENDING else _with_status(status)
    query = (
        insert(_table).values(**begun | values).on_conflict_do_nothing(index_elements=["job_id"])
    )
    return connection.execute(query.returning(_table.c.id)).first() is not None


def change_row(
    connection: Connection, job_id: str, values: dict[str, Any]
) -> Row[*tuple[Any, ...]]:
    """Change a row, which nobody else changes meanwhile; return what it was.

    Raises:
        IllegalTransition: No such job, or its status cannot become that.
    """
    known = ids.is_job_id(job_id)
    row = connection.execute(_FOR_UPDATE, {"job_id": job_id}).one_or_none() if known else None
    if row is None:
        raise IllegalTransition(f"no job has the id {job_id}")
    status = values.get("status")
    becomes = None if _stays(row, status) else status
    if becomes not in {None, row.status, *TRANSITIONS[Status(row.status)]}:
        raise IllegalTransition(f"job {job_id} is {row.status} and cannot become {status}")
    changes = {"updated_at": func.now()} | _with_status(becomes) | values
    try:
        connection.execute(update(_table).where(_table.c.job_id == job_id).values(**changes))
    except IntegrityError as error:
        if not is_taken(error):
            raise
        said = f"job {job_id} is unique, and another job has its key by now"
        raise IllegalTransition(f"{said}: wait for that one, or cancel it") from None
    return row


def _stays(row: Any, status: Status | None) -> bool:
    """Tell whether a row has this status already; one that is failed and retried is not dead."""
    return status == row.status and (status != Status.FAILED or row.dead_at is not None)


def _with_status(status: Status | None) -> dict[str, Any]:
    """Return what else a change to `status` writes; whatever it is, it ends the lease."""
    if status is None:
        return {}
    now = func.now()
    no_lease = {"lease_token": None, "lease_expires_at": None}
    match status:
        case Status.PENDING:
            return (
                no_lease
                | _PUT_BACK
                | {
                    "generation": _table.c.generation + 1,
                    # Without one, a sweep would take the row for one that its producer publishes.
                    "max_retries": func.coalesce(_table.c.max_retries, 3),
                }
            )
        case Status.PROCESSING:
            return no_lease | {"started_at": now, "dead_at": None, "completed_at": None}
        case Status.COMPLETED:
            return no_lease | {"completed_at": now, "error": None, "dead_at": None}
        case Status.FAILED:
            return no_lease | {"completed_at": now, "dead_at": now}
        case Status.CANCELLED:
            return no_lease | {"completed_at": now, "cancelled_at": now, "dead_at": None}


_PUT_BACK: dict[str, Any] = {
    "error": None,
    # In JSON columns, None would be JSON's null.
    "result": null(),
    "progress": null(),
    "retry_count": 0,
    "reschedules": 0,
    "put_backs": 0,
    "legs": 0,
    "checkpoint": null(),
    "message_id": None,
    "published_at": None,
    "pause": None,
    "available_at": None,
    "started_at": None,
    "completed_at": None,
    "dead_at": None,
    "cancelled_at": None,
}
