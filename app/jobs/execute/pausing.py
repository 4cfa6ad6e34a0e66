"""Deliveries of jobs that a pause holds: they go back to the outbox, at no cost to the job."""

from dataclasses import dataclass

from sqlalchemy import Connection

from ..outcome import Outcome, Skipped
from ..publish import relay
from ..table import attempts, held
from ..table.attempts import Attempt, ClaimRefused
from ..table.db import in_transaction
from . import firing


@dataclass(frozen=True, slots=True)
class Paused(Skipped):
    """A pause holds the job, which went back to the outbox: no attempt, and no retry is spent."""

    label = "paused"
    event = "[jobs] Delivery put back"
    logged = ("pause",)

    pause: str = ""


def put_back(attempt: Attempt, refused: ClaimRefused) -> Outcome | None:
    """Return a job to the outbox if a pause holds it, so that the message has done its part.

    A process that dies before the answer leaves QStash to deliver the message again, which brings
    nothing then.

    Returns:
        None if no pause does, or the row is not as it was when the claim was refused.
    """
    if refused.pause is None:
        return None
    row = in_transaction(lambda tx: held.put_back(tx, attempt, refused))
    if row is None:
        return None
    relay.publish([row])  # where the pause has ended meanwhile
    return Paused("paused", refused.pause)


def put_back_arrival(tx: Connection, attempt: Attempt) -> Outcome | None:
    """Do the same for a job whose row the transaction has just made.

    Of a schedule's firings, one waits: those that come after it while the pause holds leave no row.
    """
    refused = attempts.peek(tx, attempt.job_id, attempt.delivery.message_id, attempt.config)
    if refused is None or refused.pause is None:
        return None
    if held.drop_firing(tx, attempt):
        firing.skip_paused(tx, attempt)
        return Skipped("paused")
    row = held.put_back(tx, attempt, refused)
    return None if row is None else Paused("paused", refused.pause)
