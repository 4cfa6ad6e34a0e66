"""What people do to jobs by hand: retry, cancel, delete, move; one or many, and each on record.

Shared by the command line and by pages. Jobs are taken in chunks, each changed in one transaction
with its line in the audit, so that it is recorded however it ends. QStash is called after the
commit: if that fails, the sweep publishes, or a needless delivery finds nothing to do.
"""

import logging
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    any_,
    func,
    literal,
    not_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.exc import IntegrityError

from ..errors import DatabaseUnavailable, PublishError
from ..publish import relay
from ..table import action_sql, audit, batches, unique
from ..table.db import in_transaction
from ..table.filters import Filter
from ..table.models import JobExecution, Status
from ..table.patience import patiently
from ..table.unique_sql import is_taken
from ..values.options import normalise

log = logging.getLogger(__name__)

CHUNK = 500
#: Jobs that are looked for at once, chunk after chunk: what an index gives of them may have to be
#: read as a whole to know those with the lowest ids.
AHEAD = 20_000

Action = Literal["retry", "cancel", "delete", "move"]

_table = cast("Table", JobExecution.__table__)

_STATEMENTS: dict[Action, Any] = {
    "retry": action_sql.RETRY,
    "cancel": action_sql.CANCEL,
    "delete": action_sql.DELETE,
    "move": action_sql.MOVE,
}
#: Options of a job that QStash's queues do not know.
_NOT_QUEUED = ("delay", "not_before", "flow_control")
#: How often others may take keys while we ask who has them.
_TURNS = 10
#: Milliseconds after which a preview gives up counting.
PATIENCE_MS = 1_000


@dataclass(slots=True)
class Done:
    """What an action did.

    Attributes:
        count: Jobs that were changed.
        asked: Those of them that are running, and stop when their handler looks.
        waiting: Retried jobs that QStash could not take yet; the sweep publishes them.
        job_ids: Of 100 of them.
        refused: Why the first 100 that cannot be retried cannot: another job has their key.
    """

    action: Action
    count: int = 0
    asked: int = 0
    waiting: int = 0
    job_ids: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, rows: Sequence[Row[Any]]) -> None:
        """Count jobs that were changed."""
        self.count += len(rows)
        self.asked += sum(row.old_status == Status.PROCESSING for row in rows)
        self.job_ids = [*self.job_ids, *(str(row.job_id) for row in rows)][: audit.KEPT_IDS]

    def refuse(self, reasons: Sequence[str]) -> None:
        self.refused = [*self.refused, *reasons][: audit.KEPT_IDS]


def retry(wanted: Filter, *, by: str) -> Done:
    """Put failed and cancelled jobs back and publish them again, from the start, with all retries.

    The attempts are kept; the generation goes up, and with it the jobs' idempotency keys. Jobs
    whose type this app does not know are left alone.

    Raises:
        ActionRefused: An empty filter.
    """
    return _act("retry", wanted, by)


def cancel(wanted: Filter, *, by: str) -> Done:
    """Call off jobs that wait or have failed, and ask those that run to stop.

    Raises:
        ActionRefused: An empty filter.
    """
    return _act("cancel", wanted, by)


def delete(wanted: Filter, *, by: str) -> Done:
    """Delete jobs in a final state: completed, cancelled or dead.

    QStash's dead letters stay where they are, but do not bring a deleted job back. With the row
    goes the knowledge that the job has run: should QStash deliver it again, it would run again.
    Delete what is old.

    Raises:
        ActionRefused: An empty filter.
    """
    return _act("delete", wanted, by)


def move(wanted: Filter, *, queue: str | None, by: str) -> Done:
    """Have jobs that wait for their first start be delivered through another queue of QStash's.

    Those with a delay or a flow-control key stay where they are, as queues know neither.

    Args:
        wanted: Which jobs.
        queue: Its name; None is no queue: at once, and beside each other.
        by: Who moves them.

    Raises:
        ActionRefused: An empty filter.
        InvalidOption: No name of a queue.
    """
    return _act("move", wanted, by, options_of("move", queue))


def options_of(action: Action, queue: str | None) -> dict[str, Any]:
    """Return what an action takes beside the jobs.

    Raises:
        InvalidOption: No name of a queue.
    """
    if action != "move":
        return {}
    return {"queue": None if queue is None else normalise({}, {"queue": queue})["queue"]}


def preview(action: Action, wanted: Filter) -> dict[str, int]:
    """Count the jobs that an action would change, by status; raises as the action does."""
    query = (
        select(_table.c.status, func.count())
        .where(*wanted.conditions(), possible(action))
        .group_by(_table.c.status)
    )
    rows = in_transaction(lambda tx: tx.execute(query).all())
    return dict(sorted(map(tuple, rows)))


def preview_within(action: Action, wanted: Filter, cap: int) -> dict[str, int] | None:
    """Do the same, but for at most so many jobs, and not for long; None where they are more."""
    conditions = (*wanted.conditions(), possible(action))
    found = select(_table.c.status).where(*conditions).limit(cap + 1).subquery()
    query = select(found.c.status, func.count()).group_by(found.c.status)
    rows = patiently(lambda tx: tx.execute(query).all(), PATIENCE_MS)
    if rows is None or sum(row[1] for row in rows) > cap:
        return None
    return dict(sorted(map(tuple, rows)))


def _act(action: Action, wanted: Filter, by: str, options: Mapping[str, Any] | None = None) -> Done:
    """Take the jobs chunk by chunk, in the order of their ids, and tell QStash of each chunk.

    The line in the audit comes with the first job that is changed: of none, there is nothing to
    tell.
    """
    conditions = [*wanted.conditions(), possible(action)]
    done, about = Done(action), wanted.as_json() | dict(options or {})

    def begin(tx: Connection) -> int:
        return audit.record_action(tx, actor=by, action=action, wanted=about)

    last, audit_id, ahead = 0, None, Ahead()
    while True:
        chunk = Chunk(action, conditions, audit_id or begin, last, options or {}, ahead)
        ids, rows, audit_id = in_transaction(chunk.change)
        if not ids:
            break
        last = ids[-1]
        done.add(rows)
        done.refuse(chunk.refused)
        tell(rows, done)
    noted = {"action": action, "by": by, "count": done.count, "filter": about}
    log.info("[jobs] Manual action", extra=noted)
    return done


@dataclass(slots=True)
class Ahead:
    """The ids of the next jobs of one action, as far as they have been looked for."""

    ids: list[int] = field(default_factory=list)

    def of_chunk(
        self, connection: Connection, conditions: Sequence[ColumnElement[bool]], after: int
    ) -> list[int]:
        """Return those of the jobs to be changed next; some may not fit any more."""
        self.ids = self.ids[bisect_right(self.ids, after) :]
        if not self.ids:
            query = select(_table.c.id).where(*conditions, _table.c.id > after)
            self.ids = list(connection.scalars(query.order_by(_table.c.id).limit(AHEAD)))
        return self.ids[:CHUNK]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next jobs after an id, changed and noted in one transaction.

    Attributes:
        entry: The line in the audit that they are added to, or what begins one if there are any.
    """

    action: Action
    conditions: list[ColumnElement[bool]]
    entry: int | Callable[[Connection], int]
    after: int
    options: Mapping[str, Any]
    ahead: Ahead
    refused: list[str] = field(default_factory=list)

    def change(self, connection: Connection) -> tuple[list[int], Sequence[Row[Any]], int | None]:
        """Return the ids of the jobs that were looked at, none at the end, and the changed rows.

        The third is their line in the audit, once there is one.
        """
        looked_at = self.ahead.of_chunk(connection, self.conditions, self.after)
        if not looked_at:
            return [], [], None
        columns = (_table.c.id, _table.c.slot, _table.c.unique_key)
        of_these = _table.c.id == any_(literal(looked_at, ARRAY(BigInteger)))
        query = select(*columns).where(*self.conditions, of_these)
        found = connection.execute(query.order_by(_table.c.id).with_for_update()).all()
        ids = [row.id for row in found]
        if not ids:
            return looked_at, [], self._note(connection, [])
        if any(row.slot is not None for row in found):
            batches.lock_slots(connection, ids)
        if self.action == "retry" and any(row.unique_key is not None for row in found):
            rows = self._retry_unique(connection, ids)
        else:
            rows = self._execute(connection, ids)
        return looked_at, rows, self._note(connection, rows)

    def _note(self, connection: Connection, rows: Sequence[Row[Any]]) -> int | None:
        entry = self.entry
        if rows:
            entry = entry(connection) if callable(entry) else entry
            audit.add_jobs(connection, entry, [str(row.job_id) for row in rows])
        return None if callable(entry) else entry

    def _execute(self, connection: Connection, ids: Sequence[int]) -> Sequence[Row[Any]]:
        given = {"ids": list(ids), **self.options}
        return connection.execute(_STATEMENTS[self.action], given).all()

    def _retry_unique(self, connection: Connection, ids: Sequence[int]) -> Sequence[Row[Any]]:
        """Retry those whose key no other job has, also not since we asked."""
        for _ in range(_TURNS):
            taken = unique.in_the_way(connection, ids)
            left = {row.id for row in taken}
            try:
                with connection.begin_nested():
                    rows = self._execute(connection, [one for one in ids if one not in left])
            except IntegrityError as error:
                if not is_taken(error):
                    raise
                continue
            self.refused[:] = [_held(row) for row in taken]
            return rows
        raise DatabaseUnavailable("the jobs' keys are taken faster than one can ask: try again")


def _held(row: Row[Any]) -> str:
    return (
        f"job {row.job_id} of {row.job_type} is unique, and job {row.holder} has its key by now: "
        "wait for that one, or cancel it, and retry then"
    )


def possible(action: Action) -> ColumnElement[bool]:
    """Say in which states the state machine knows the action."""
    status, dead = _table.c.status, _table.c.dead_at.is_not(None)
    known = _table.c.job_type.in_(relay.known_types())
    match action:
        case "retry":
            return status.in_([Status.FAILED, Status.CANCELLED]) & known
        case "cancel":
            unasked = (status == Status.PROCESSING) & _table.c.cancelled_at.is_(None)
            return status.in_([Status.PENDING, Status.FAILED]) | unasked
        case "delete":
            return status.in_([Status.COMPLETED, Status.CANCELLED]) | (
                (status == Status.FAILED) & dead
            )
        case "move":
            unstarted = _table.c.started_at.is_(None)
            first = (_table.c.legs == 0) & (_table.c.reschedules == 0)
            plain = not_(_table.c.options.has_any(array(_NOT_QUEUED)))
            return and_(status == Status.PENDING, unstarted, first, plain, known)


def tell(rows: Sequence[Row[Any]], done: Done) -> None:
    """Tell QStash what was done: of what is final it has no message, and hears nothing."""
    if done.action in {"retry", "move"}:
        done.waiting += relay.publish(rows).waiting
    if done.action != "delete":
        _withdraw(rows)
    if done.action == "cancel":  # which may have been what a step waited for
        for batch_id in {row.batch_id for row in rows if row.batch_id is not None}:
            relay.publish_started(batch_id)


def _withdraw(rows: Sequence[Row[Any]]) -> None:
    """Have QStash forget the messages, if it can be reached: their deliveries would run nothing."""
    waits = [row for row in rows if row.old_status != Status.PROCESSING]
    try:
        relay.withdraw([row.old_message_id for row in waits if row.old_message_id])
    except PublishError as error:
        log.warning("[jobs] Messages not withdrawn from QStash", extra={"error": str(error)})
