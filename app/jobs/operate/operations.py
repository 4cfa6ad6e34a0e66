"""An action on many jobs: recorded, then worked off by a job, batch by batch.

Each batch changes jobs, notes them in the audit and moves the operation on, in one transaction: so
it does each job once, survives whatever ends its process, and stops between two batches.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, Table, func, insert, select, update

from ..enqueue import enqueuer
from ..table import audit
from ..table.db import connection_of, db, in_transaction
from ..table.filters import Filter
from ..table.models import JobExecution
from ..table.operations import JobOperation, OperationState
from ..table.patience import patiently
from ..values.ids import OwnerId
from . import actions
from .actions import Action, Ahead, Chunk, Done

#: The type of the jobs that work off operations; who has them registers a handler for it.
JOB_TYPE = "act-on-jobs"
#: Milliseconds for which is counted how many jobs there are to change.
PATIENCE_MS = 20_000

_operations = cast("Table", JobOperation.__table__)
_jobs = cast("Table", JobExecution.__table__)


def begin(
    action: Action,
    wanted: Filter,
    *,
    by: str,
    organization_id: OwnerId | None = None,
    queue: str | None = None,
    total: int = 0,
) -> int:
    """Record an operation, and enqueue the job that works it off; all or nothing.

    Args:
        action: What is done to each job.
        wanted: Which jobs: those that there are now.
        by: Who asked for it.
        organization_id: Of somebody who sees the jobs of this organization only.
        queue: Where `move` moves them to.
        total: How many there are, if that is known.

    Returns:
        Its id.

    Raises:
        ActionRefused: An empty filter.
        InvalidOption: No name of a queue.
        DatabaseUnavailable: Nothing was recorded.
    """
    wanted.conditions()
    options = actions.options_of(action, queue)
    about = wanted.as_of(datetime.now(UTC)).as_json()
    db.session.rollback()  # what was only read
    connection = connection_of(db.session)
    values = {
        "action": action,
        "actor": by,
        "filter": about,
        "options": options,
        "total": total,
        "organization_id": organization_id,
        "audit_id": audit.record_action(
            connection, actor=by, action=action, wanted=wanted.as_json() | options
        ),
    }
    made: int = connection.execute(
        insert(_operations).values(values).returning(_operations.c.id)
    ).scalar_one()
    _enqueue(connection, made)
    db.session.commit()
    return made


def find(operation_id: int) -> JobOperation | None:
    """Return an operation."""
    return db.session.get(JobOperation, operation_id, populate_existing=True)


def newest(limit: int, *, organization_id: OwnerId | None = None) -> list[JobOperation]:
    """Return the newest operations, all or those of an organization's users."""
    query = select(JobOperation).order_by(JobOperation.created_at.desc()).limit(limit)
    if organization_id is not None:
        query = query.where(JobOperation.organization_id == organization_id)
    return list(db.session.scalars(query))


def stop(operation_id: int, *, by: str) -> bool:
    """Have an operation end after the batch under way; tell whether it was running."""

    def work(tx: Connection) -> bool:
        running = _is(operation_id) & (_operations.c.state == OperationState.RUNNING)
        ended = {"state": OperationState.STOPPED, "ended_at": func.now()}
        if not tx.execute(update(_operations).where(running).values(ended)).rowcount:
            return False
        about = {"operation": operation_id}
        audit.record_action(tx, actor=by, action="operation stop", wanted=about)
        return True

    return in_transaction(work)


def resume(operation_id: int, *, by: str) -> bool:
    """Go on with an operation that was stopped, or whose job has ended before it did.

    Returns:
        Whether there was something to go on with.
    """
    db.session.rollback()
    connection = connection_of(db.session)
    row = _locked(connection, operation_id)
    if row is None or not is_at_rest(connection, row):
        db.session.rollback()
        return False
    going = {"state": OperationState.RUNNING, "ended_at": None}
    connection.execute(update(_operations).where(_is(operation_id)).values(going))
    about = {"operation": operation_id}
    audit.record_action(connection, actor=by, action="operation resume", wanted=about)
    _enqueue(connection, operation_id)
    db.session.commit()
    return True


def is_at_rest(connection: Connection, operation: Any) -> bool:
    """Tell whether nobody works on an operation, and it is not done."""
    if operation.state != OperationState.RUNNING:
        return bool(operation.state == OperationState.STOPPED)
    query = select(_jobs.c.status, _jobs.c.dead_at).where(_jobs.c.job_id == operation.job_id)
    job = connection.execute(query).one_or_none()
    return job is None or job.dead_at is not None or job.status in {"completed", "cancelled"}


def work(operation_id: int) -> Iterator[Row[Any]]:
    """Do an operation's next batches, and yield after each how far it is."""
    _count(operation_id)
    ahead = Ahead()
    while True:
        done, rows, after = in_transaction(lambda tx: _batch(tx, operation_id, ahead))
        if after is None:
            return
        actions.tell(rows, done)
        if done.waiting:
            more = {"waiting": _operations.c.waiting + done.waiting}
            _note(operation_id, more)
        yield after


def _batch(tx: Connection, operation_id: int, ahead: Ahead) -> tuple[Done, Any, Row[Any] | None]:
    """Change the next jobs; return what was done, their rows, and the operation afterwards."""
    row = _locked(tx, operation_id)
    if row is None or row.state != OperationState.RUNNING:
        return Done("retry"), [], None
    done = Done(row.action)
    chunk = Chunk(row.action, _conditions(row), row.audit_id, row.position, row.options, ahead)
    ids, rows, _ = chunk.change(tx)
    if ids:
        done.add(rows)
        values = {
            "position": ids[-1],
            "changed": _operations.c.changed + done.count,
            "asked": _operations.c.asked + done.asked,
        }
    else:
        values = {"state": OperationState.DONE, "ended_at": func.now()}
    noted = values | {"updated_at": func.now()}
    query = update(_operations).where(_is(operation_id)).values(noted).returning(_operations)
    after = tx.execute(query).one()
    return done, rows, after if ids else None


def _count(operation_id: int) -> None:
    """Find out how many jobs there are to change, unless that is known or takes too long."""
    known = select(_operations).where(_is(operation_id))
    row = in_transaction(lambda tx: tx.execute(known).first())
    if row is None or row.total or row.position:
        return
    query = select(func.count()).select_from(_jobs).where(*_conditions(row))
    total = patiently(lambda tx: tx.execute(query).scalar_one(), PATIENCE_MS)
    if total:
        _note(operation_id, {"total": total})


def _note(operation_id: int, values: dict[str, Any]) -> None:
    query = update(_operations).where(_is(operation_id)).values(values)
    in_transaction(lambda tx: tx.execute(query))


def _conditions(row: Row[Any]) -> list[Any]:
    """Return which jobs an operation is about; never its own, which would call itself off."""
    wanted = Filter.from_json(row.filter).conditions()
    return [*wanted, actions.possible(row.action), _jobs.c.job_id != row.job_id]


def _is(operation_id: int) -> ColumnElement[bool]:
    is_this: ColumnElement[bool] = _operations.c.id == operation_id
    return is_this


def _locked(tx: Connection, operation_id: int) -> Row[Any] | None:
    query = select(_operations).where(_is(operation_id)).with_for_update()
    return tx.execute(query).one_or_none()


def _enqueue(connection: Connection, operation_id: int) -> None:
    payload = {"operationId": operation_id}
    job_id = enqueuer.enqueue(JOB_TYPE, payload, session=db.session)
    connection.execute(update(_operations).where(_is(operation_id)).values(job_id=job_id))
