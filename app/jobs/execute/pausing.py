"""Deliveries of jobs that something holds: they go back to the outbox, at no cost to the job."""

from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from ..outcome import Outcome, Skipped
from ..publish import relay
from ..table import held, refusals
from ..table.attempts import Attempt
from ..table.db import in_transaction
from ..table.refusals import ClaimRefused
from ..table.unique_sql import FOLLOWS, is_taken


@dataclass(frozen=True, slots=True)
class Paused(Skipped):
    """A pause holds the job, which went back to the outbox: no attempt, and no retry is spent."""

    label = "paused"
    event = "[jobs] Delivery put back"
    logged = ("pause",)

    pause: str = ""


@dataclass(frozen=True, slots=True)
class Deferred(Skipped):
    """A unique job is not to begin with this message: no attempt, and no retry is spent."""

    label = "deferred"
    event = "[jobs] Delivery put off"
    logged = ("reason",)

    reason: str = ""


def put_back(attempt: Attempt, refused: ClaimRefused) -> Outcome | None:
    """Return a job to the outbox if something holds it, so that the message has done its part.

    That is a pause, or another job whose end it waits for; or its payload was replaced, for which
    there has to be another message. A process that dies before the answer leaves QStash to deliver
    the message again, which brings nothing then.

    Returns:
        None if nothing does, or the row is not as it was when the claim was refused.
    """
    if refused.has_newer:
        return Deferred("replaced", "another message brings its new payload")
    if refused.pause is None and not refused.is_outdated:
        return None
    try:
        row = in_transaction(lambda tx: held.put_back(tx, attempt, refused))
    except IntegrityError as error:
        if not is_taken(error):
            raise
        return None  # it is dead, and another job has its key by now
    if row is None:
        return None
    relay.publish([row])  # unless something holds it still
    return _of(refused)


def _of(refused: ClaimRefused) -> Outcome:
    if refused.pause is None:
        return Deferred("replaced", "its payload was replaced")
    if refused.pause.startswith(FOLLOWS):
        return Deferred("follow-up", refused.pause)
    return Paused("paused", refused.pause)


def put_back_arrival(tx: Connection, attempt: Attempt) -> Outcome | None:
    """Do the same for a job whose row the transaction has just made.

    Of a schedule's firings, one waits: those that come after it while the pause holds leave no row.
    """
    refused = refusals.peek(tx, attempt.job_id, attempt=attempt)
    if refused is None or refused.pause is None:
        return None
    if held.drop_firing(tx, attempt):
        return Skipped("paused")
    row = held.put_back(tx, attempt, refused)
    return None if row is None else _of(refused)
