"""Record: what an attempt came to, in the right transaction, if the lease is still ours.

The handler's work in `db.session` and its completion, or its checkpoint, commit together or not at
all. Everything else is recorded in a new transaction, after the handler's work was rolled back.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from flask import current_app
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from .. import outcome
from ..events import Died, tell
from ..outcome import Cancelled, Completed, Continued, Failed, Lost, Outcome, Rescheduled
from ..publish import outbox
from ..registry import JobConfig
from ..table import attempts
from ..table.attempts import Lease, Timing
from ..table.db import connection_of, db
from ..table.transactions import in_transaction

log = logging.getLogger(__name__)

T = TypeVar("T")


def record(config: JobConfig, lease: Lease, done: Outcome, timing: Timing) -> Outcome:
    """Write the outcome and return what it came to, `Lost` where another delivery took over.

    Raises:
        DatabaseUnavailable: Nothing was recorded; the lease runs out and the job is run again.
    """
    match done:
        case Completed():
            return _success(config, lease, done, timing)
        case Continued():
            return _continuation(config, lease, done, timing)
        case Failed():
            return _failure(config, lease, done, timing)
        case Rescheduled():
            return _reschedule(config, lease, done, timing)
        case Cancelled():
            return _cancellation(config, lease, done, timing)
        case Lost():
            return _lost(config, lease)


def about(config: JobConfig, lease: Lease, timing: Timing | None = None) -> dict[str, Any]:
    """Return the fields of a log line about an attempt."""
    fields = {"jobId": lease.job_id, "type": config.type, "attempt": lease.attempt}
    return fields if timing is None else {**fields, "duration_ms": timing.duration_ms}


def _success(config: JobConfig, lease: Lease, done: Completed, timing: Timing) -> Outcome:
    """Commit the handler's work and its completion together, or roll both back."""
    try:
        if not _commit(lambda tx: attempts.complete(tx, lease, done, timing)):
            return _lost(config, lease)
    except SQLAlchemyError as error:
        # The work itself cannot be committed (a deferred constraint, a lost connection).
        return _failure(config, lease, outcome.failure(error), timing)
    log.info("[jobs] Job processed successfully", extra=about(config, lease, timing))
    return done


def _continuation(config: JobConfig, lease: Lease, done: Continued, timing: Timing) -> Outcome:
    """Commit the handler's work and its checkpoint together, then publish the next leg."""
    if lease.leg >= current_app.config["JOBS_MAX_LEGS"]:
        return _failure(config, lease, outcome.too_many_legs(lease.leg), timing)
    try:
        message = _commit(lambda tx: attempts.hand_over(tx, lease, done, timing, config.endpoint))
    except SQLAlchemyError as error:
        return _failure(config, lease, outcome.failure(error), timing)
    if message is None:
        return _lost(config, lease)
    if isinstance(message, Cancelled):
        log.info("[jobs] Job cancelled", extra=about(config, lease, timing))
        return message
    log.info("[jobs] Job continues", extra={**about(config, lease, timing), "legs": message.legs})
    if outbox.publish_one(message) or lease.is_last:
        return replace(done, legs=message.legs)
    # This message is done, so its retries are free to try the publishing again.
    return outcome.not_handed_over()


def _commit(change: Callable[[Connection], T]) -> T:
    """Change the row in the transaction of the handler's work; leave that open if nothing came."""
    if not db.session().in_transaction():
        # The handler left nothing there to commit, so a connection does, without a session's cost.
        return in_transaction(change)
    changed = change(connection_of(db.session))
    if changed:
        db.session.commit()
    return changed


def _failure(config: JobConfig, lease: Lease, done: Failed, timing: Timing) -> Outcome:
    db.session.rollback()
    if not in_transaction(lambda tx: attempts.fail(tx, lease, done, timing)):
        return _lost(config, lease)
    last = done.permanent or lease.is_last
    log.log(
        logging.ERROR if last else logging.WARNING,
        "[jobs] Job processing failed",
        exc_info=done.exception,
        extra={**about(config, lease, timing), "error": done.error, "dead": last},
    )
    if last:
        tell(Died(config.type))
    return replace(done, dead=last)


def _reschedule(config: JobConfig, lease: Lease, done: Rescheduled, timing: Timing) -> Outcome:
    """Put the job back and publish it anew; a job that asks for it for ever is stopped."""
    asked = done.kind == "rescheduled"  # by the handler, not by a stop of the process
    if asked and lease.reschedules >= current_app.config["JOBS_MAX_RESCHEDULES"]:
        return _failure(config, lease, outcome.gave_up(done, lease.reschedules), timing)
    db.session.rollback()
    message = in_transaction(
        lambda tx: attempts.reschedule(tx, lease, done, timing, config.endpoint)
    )
    if message is None:
        return _lost(config, lease)
    if isinstance(message, Cancelled):
        log.info("[jobs] Job cancelled", extra=about(config, lease, timing))
        return message
    fields = {**about(config, lease, timing), "delay": done.delay, "reason": done.error}
    log.info("[jobs] Job rescheduled", extra=fields)
    if outbox.publish_one(message):
        return done
    # Not published: let QStash bring the present message again instead.
    return outcome.unpublished(done)


def _cancellation(config: JobConfig, lease: Lease, done: Cancelled, timing: Timing) -> Outcome:
    db.session.rollback()
    if not in_transaction(lambda tx: attempts.cancel(tx, lease, done, timing)):
        return _lost(config, lease)
    log.info("[jobs] Job cancelled", extra=about(config, lease, timing))
    return done


def _lost(config: JobConfig, lease: Lease) -> Lost:
    db.session.rollback()
    log.warning("[jobs] Lease lost, result thrown away", extra=about(config, lease))
    return Lost()
