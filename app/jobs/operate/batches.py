"""What people do to batches, and see of them: list, find, cancel, retry."""

from dataclasses import replace

from sqlalchemy import Connection

from ..errors import BatchRefused
from ..table import audit, batches, workflows
from ..table.batches import BATCH, STATES, WORKFLOW, Summary
from ..table.db import in_transaction
from ..table.filters import Filter
from ..table.models import Status
from ..table.workflows import StepState
from ..values.ids import is_uuid
from . import actions
from .actions import Done

__all__ = [
    "BATCH",
    "STATES",
    "WORKFLOW",
    "StepState",
    "Summary",
    "beginning",
    "cancel",
    "find",
    "newest",
    "retry",
    "steps",
]


def find(batch_id: str) -> Summary:
    """Return a batch as it is now.

    Raises:
        BatchRefused: There is no such batch, or it was deleted with its last job.
    """
    found = in_transaction(lambda tx: batches.find(tx, batch_id)) if is_uuid(batch_id) else None
    if found is None:
        raise BatchRefused(
            f"no batch has the id {batch_id}; `flask jobs batches list` shows the newest"
        )
    return found


def newest(*, kind: str | None = None, state: str | None = None, limit: int = 20) -> list[Summary]:
    """Return what was made last: batches, workflows or both, in one of `STATES` or in any."""
    return in_transaction(lambda tx: batches.newest(tx, kind=kind, state=state, limit=limit))


def steps(batch_id: str) -> list[StepState]:
    """Return a workflow's steps as they are now, and what follows the end of a batch."""
    return in_transaction(lambda tx: workflows.steps(tx, batch_id))


def beginning(text: str, *, limit: int) -> list[str]:
    """Return ids of batches that begin like this."""
    return in_transaction(lambda tx: batches.beginning(tx, text, limit=limit))


def cancel(batch_id: str, *, by: str) -> Done:
    """Call a batch off: what has not begun never does, what runs is asked to stop.

    Its end is recorded as "cancelled" when the last of its jobs has ended, and nothing follows it.

    Raises:
        BatchRefused: There is no such batch, or it has ended.
    """
    found = find(batch_id)

    def call_off(tx: Connection) -> bool:
        is_off = batches.call_off(tx, batch_id)
        if is_off:
            wanted = {"batch": batch_id}
            audit.record_action(tx, actor=by, action="batch cancel", wanted=wanted)
        workflows.stop_listening(tx, batch_id)
        return is_off

    if not in_transaction(call_off):
        raise BatchRefused(
            f"the {found.kind} {found.name!r} has ended ({found.state}): there is nothing to cancel"
        )
    done = Done("cancel")
    for wanted in (
        Filter(batch_id=batch_id, status=Status.PENDING),
        Filter(batch_id=batch_id, dead=False),
        Filter(batch_id=batch_id, status=Status.PROCESSING),
    ):
        more = actions.cancel(wanted, by=by)
        done = replace(
            more,
            count=done.count + more.count,
            asked=done.asked + more.asked,
            job_ids=[*done.job_ids, *more.job_ids],
        )
    in_transaction(lambda tx: batches.advance(tx, batch_id))
    return done


def retry(batch_id: str, *, by: str) -> Done:
    """Retry the dead jobs of a batch, which goes on when they have completed.

    Raises:
        BatchRefused: There is no such batch.
    """
    find(batch_id)
    return actions.retry(Filter(batch_id=batch_id, dead=True), by=by)
