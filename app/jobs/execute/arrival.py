"""Jobs that are first seen when they are delivered: another producer's, or a schedule's firings."""

from sqlalchemy import Connection

from ..errors import PublishError
from ..outcome import Busy, Outcome, Skipped
from ..publish import relay
from ..table import attempts, job_rows, memory, refusals
from ..table.attempts import Attempt, within
from ..table.db import in_transaction
from . import firing, pausing, unique_firing
from .delivery import spend


def claim(attempt: Attempt) -> Outcome | None:
    """Record the job, then claim it; None where it is to be executed."""
    job_id, message_id = attempt.job_id, attempt.delivery.message_id
    if in_transaction(lambda tx: memory.is_done(tx, job_id, message_id)):
        return Skipped("deleted")
    if not attempt.delivery.is_firing:
        spend(attempt.delivery)
    else:
        try:
            attempt.delivery = firing.placed(attempt)
        except PublishError as error:
            return Busy(f"it cannot be told of which moment it is: {error}")
    outcome = in_transaction(lambda tx: _arrive(tx, attempt))
    if isinstance(outcome, firing.PutOff):
        relay.publish_job(job_id)
    return outcome


def is_unknown(connection: Connection, job_id: str) -> bool:
    """Tell whether there never was a job with this id, as far as we remember."""
    return refusals.peek(connection, job_id) is None and not memory.deleted(connection, [job_id])


def _arrive(tx: Connection, attempt: Attempt) -> Outcome | None:
    put_off = firing.arrive(tx, attempt)
    if isinstance(put_off, firing.FiringSkipped):
        return put_off
    if put_off is None:
        job_rows.create_job_execution(tx, attempt.row)
    if (not_run := unique_firing.take_key(tx, attempt) or put_off) is not None:
        return not_run
    if attempts.claim(within(tx), attempt):
        return None
    held = pausing.put_back_arrival(tx, attempt)
    if held == Skipped("paused"):
        firing.skip_paused(tx, attempt)
    return held or Busy("another delivery has this job")
