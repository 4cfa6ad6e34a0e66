"""What people do to batches, and see of them: list, find, cancel, retry."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection

from ..errors import BatchRefused, InvalidOption
from ..publish import relay
from ..table import audit, batch_summaries, batches, workflows
from ..table.batch_summaries import Counts, Summary
from ..table.batches import BATCH, STATES, WORKFLOW
from ..table.db import in_transaction
from ..table.filters import Filter
from ..table.models import Status
from ..table.snapshot import CAP
from ..table.workflows import StepState
from ..values.ids import OwnerId, is_uuid
from . import actions
from .actions import Done

__all__ = [
    "BATCH",
    "STATES",
    "WORKFLOW",
    "Counts",
    "Retried",
    "StepState",
    "Summary",
    "beginning",
    "cancel",
    "counts",
    "cursor",
    "find",
    "newest",
    "retry",
    "steps",
]


@dataclass(slots=True)
class Retried(Done):
    """What a retry did.

    Attributes:
        waits: Steps that had timed out, or were cancelled with it, and wait for their signal again.
    """

    waits: int = 0


def find(batch_id: str) -> Summary:
    """Return a batch as it is now.

    Raises:
        BatchRefused: There is no such batch, or it was deleted with its last job.
    """
    found = None
    if is_uuid(batch_id):
        found = in_transaction(lambda tx: batch_summaries.find(tx, batch_id))
    if found is None:
        raise BatchRefused(
            f"no batch has the id {batch_id}; `flask jobs batches list` shows the newest"
        )
    return found


def newest(
    *,
    kind: str | None = None,
    state: str | None = None,
    organization_id: OwnerId | None = None,
    after: str | None = None,
    limit: int = 20,
) -> list[Summary]:
    """Return what was made last, or what follows a page.

    Args:
        kind: `BATCH` or `WORKFLOW`; both without.
        state: One of `STATES`; any without.
        organization_id: Only what is this organization's.
        after: The `cursor` of the last one on the page before.
        limit: How many at most.

    Raises:
        InvalidOption: `after` is none that `cursor` made.
    """
    position = None if after is None else _position(after)
    return in_transaction(
        lambda tx: batch_summaries.newest(
            tx,
            kind=kind,
            state=state,
            organization_id=organization_id,
            after=position,
            limit=limit,
        )
    )


def cursor(last: Summary) -> str:
    """Return what to ask for the page after a batch with."""
    return urlsafe_b64encode(f"{last.created_at.isoformat()} {last.id}".encode()).decode()


def _position(after: str) -> tuple[datetime, str]:
    try:
        created_at, batch_id = urlsafe_b64decode(after.encode()).decode().split(" ")
        return datetime.fromisoformat(created_at).astimezone(UTC), str(UUID(batch_id))
    except (ValueError, OverflowError):
        raise InvalidOption(
            f"after: {after!r} is not a cursor; use the one that the previous page had"
        ) from None


def steps(batch_id: str) -> list[StepState]:
    """Return a workflow's steps as they are now, and what follows the end of a batch."""
    return in_transaction(lambda tx: workflows.steps(tx, batch_id))


def beginning(text: str, *, limit: int) -> list[str]:
    """Return ids of batches that begin like this."""
    return in_transaction(lambda tx: batch_summaries.beginning(tx, text, limit=limit))


def counts() -> Counts:
    """Count the batches by kind and state, up to `CAP` for each state.

    Raises:
        DatabaseUnavailable: There are none.
    """
    return in_transaction(lambda tx: batch_summaries.count(tx, cap=CAP))


def cancel(batch_id: str, *, by: str) -> Done:
    """Call a batch off: what has not begun never does, what runs is asked to stop.

    Its end is recorded as "cancelled" when the last of its jobs has ended, and nothing follows it.

    Raises:
        BatchRefused: There is no such batch, or it has ended.
    """
    found = find(batch_id)

    def call_off(tx: Connection) -> bool:
        if not batches.call_off(tx, batch_id):
            return False
        wanted = {"batch": batch_id}
        audit.record_action(tx, actor=by, action="batch cancel", wanted=wanted)
        workflows.stop_listening(tx, batch_id)
        # It may have waited for nothing but signals: then no job's end is still to come.
        batches.advance(tx, batch_id)
        return True

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
    return done


def retry(batch_id: str, *, by: str) -> Retried:
    """Retry the dead parts of a batch, which goes on when they have completed.

    These are its dead jobs, and the steps whose time to wait for a signal was up, or that were
    cancelled with it: they wait again, for as long as they did. Cancelled jobs stay cancelled.

    Raises:
        BatchRefused: There is no such batch.
    """
    find(batch_id)

    def listen_again(tx: Connection) -> int:
        waits = workflows.listen_again(tx, batch_id)
        if waits:
            audit.record_action(tx, actor=by, action="batch retry", wanted={"batch": batch_id})
        return waits

    waits = in_transaction(listen_again)
    done = actions.retry(Filter(batch_id=batch_id, dead=True), by=by)
    # What became ready while it was called off has no other end to begin with; also where a retry
    # before this one died after its first line.
    in_transaction(lambda tx: batches.advance(tx, batch_id))
    relay.publish_started(batch_id)
    return Retried(**asdict(done), waits=waits)
