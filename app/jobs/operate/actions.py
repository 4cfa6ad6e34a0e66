"""What people do to jobs by hand: retry, cancel, delete; one or many, and each on record.

Shared by the command line and by pages. Jobs are taken in chunks, each changed in one transaction
with its line in the audit, so that it is recorded however it ends. QStash is called after the
commit: if that fails, the sweep publishes, or a needless delivery finds nothing to do.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select

from ..errors import PublishError
from ..publish import relay
from ..table import action_sql, audit
from ..table.db import in_transaction
from ..table.filters import Filter
from ..table.models import JobExecution, Status

log = logging.getLogger(__name__)

CHUNK = 500

Action = Literal["retry", "cancel", "delete"]

_table = cast("Table", JobExecution.__table__)

_STATEMENTS: dict[Action, Any] = {
    "retry": action_sql.RETRY,
    "cancel": action_sql.CANCEL,
    "delete": action_sql.DELETE,
}


@dataclass(slots=True)
class Done:
    """What an action did.

    Attributes:
        count: Jobs that were changed.
        asked: Those of them that are running, and stop when their handler looks.
        waiting: Retried jobs that QStash could not take yet; the sweep publishes them.
        job_ids: The first 100.
    """

    action: Action
    count: int = 0
    asked: int = 0
    waiting: int = 0
    job_ids: list[str] = field(default_factory=list)


def retry(wanted: Filter, *, by: str) -> Done:
    """Put failed and cancelled jobs back and publish them again, from the start, with all retries.

    The attempts are kept; the generation goes up, and with it the jobs' idempotency keys. Jobs
    whose type this app does not know are left alone.

    Raises:
        ActionRefused: An empty filter.
    """
    return _act("retry", wanted, by, _publish_anew)


def cancel(wanted: Filter, *, by: str) -> Done:
    """Call off jobs that wait or have failed, and ask those that run to stop.

    Raises:
        ActionRefused: An empty filter.
    """
    return _act("cancel", wanted, by, _withdraw)


def delete(wanted: Filter, *, by: str) -> Done:
    """Delete jobs in a final state: completed, cancelled or dead.

    QStash's dead letters stay where they are, but do not bring a deleted job back. With the row
    goes the knowledge that the job has run: should QStash deliver it again, it would run again.
    Delete what is old.

    Raises:
        ActionRefused: An empty filter.
    """
    return _act("delete", wanted, by, _leave_alone)


def preview(action: Action, wanted: Filter) -> dict[str, int]:
    """Count the jobs that an action would change, by status; raises as the action does."""
    query = (
        select(_table.c.status, func.count())
        .where(*wanted.conditions(), _possible(action))
        .group_by(_table.c.status)
    )
    rows = in_transaction(lambda tx: tx.execute(query).all())
    return dict(sorted(map(tuple, rows)))


def _act(
    action: Action, wanted: Filter, by: str, tell: Callable[[Sequence[Row[Any]], Done], None]
) -> Done:
    """Take the jobs chunk by chunk, in the order of their ids, and tell QStash of each chunk."""
    conditions = [*wanted.conditions(), _possible(action)]
    done = Done(action)
    audit_id = in_transaction(
        lambda tx: audit.record_action(tx, actor=by, action=action, wanted=wanted.as_json())
    )
    last = 0
    while True:
        chunk = _Chunk(action, conditions, audit_id, after=last)
        ids, rows = in_transaction(chunk.change)
        if not ids:
            break
        last = ids[-1]
        done.count += len(rows)
        done.asked += sum(row.old_status == Status.PROCESSING for row in rows)
        done.job_ids = [*done.job_ids, *(str(row.job_id) for row in rows)][: audit.KEPT_IDS]
        tell(rows, done)
    about = {"action": action, "by": by, "count": done.count, "filter": wanted.as_json()}
    log.info("[jobs] Manual action", extra=about)
    return done


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The next jobs after an id, changed and noted in one transaction."""

    action: Action
    conditions: list[ColumnElement[bool]]
    audit_id: int
    after: int

    def change(self, connection: Connection) -> tuple[list[int], Sequence[Row[Any]]]:
        query = select(_table.c.id).where(*self.conditions, _table.c.id > self.after)
        locked = query.order_by(_table.c.id).limit(CHUNK).with_for_update()
        ids = list(connection.execute(locked).scalars())
        if not ids:
            return [], []
        rows = connection.execute(_STATEMENTS[self.action], {"ids": ids}).all()
        audit.add_jobs(connection, self.audit_id, [str(row.job_id) for row in rows])
        return ids, rows


def _possible(action: Action) -> ColumnElement[bool]:
    """Say in which states the state machine knows the action."""
    status, dead = _table.c.status, _table.c.dead_at.is_not(None)
    match action:
        case "retry":
            known = _table.c.job_type.in_(relay.known_types())
            return status.in_([Status.FAILED, Status.CANCELLED]) & known
        case "cancel":
            unasked = (status == Status.PROCESSING) & _table.c.cancelled_at.is_(None)
            return status.in_([Status.PENDING, Status.FAILED]) | unasked
        case "delete":
            return status.in_([Status.COMPLETED, Status.CANCELLED]) | (
                (status == Status.FAILED) & dead
            )


def _publish_anew(rows: Sequence[Row[Any]], done: Done) -> None:
    done.waiting += relay.publish(rows).waiting
    _withdraw(rows, done)


def _withdraw(rows: Sequence[Row[Any]], _: Done) -> None:
    """Have QStash forget the messages, if it can be reached: their deliveries would run nothing."""
    waits = [row for row in rows if row.old_status != Status.PROCESSING]
    try:
        relay.withdraw([row.old_message_id for row in waits if row.old_message_id])
    except PublishError as error:
        log.warning("[jobs] Messages not withdrawn from QStash", extra={"error": str(error)})


def _leave_alone(_: Sequence[Row[Any]], __: Done) -> None:
    """Tell QStash nothing: what is final has no message there."""
