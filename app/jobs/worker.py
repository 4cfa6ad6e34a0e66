"""The second half of a job's way: verify > parse > claim > execute > record > answer.

    record ◀── execute handler under deadline ◀── claim ◀── parse ◀── verify ◀── signed POST

`@signed` verifies before `deliver` is called. The first half is `dispatcher`.

Transactions: the claim commits first, on its own. The handler's work in `db.session` and its
completion commit together or not at all. A failure is recorded in a new transaction, after the
handler's work was rolled back.
"""

import logging
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from flask import Response, current_app
from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from app.db import db
from app.jobs import executions, leases, outbox, outcome, versions
from app.jobs.context import Job, current_job
from app.jobs.deadline import time_limit
from app.jobs.delivery import Delivery, parse, retried
from app.jobs.errors import (
    DatabaseUnavailable,
    InvalidDelivery,
    JobTimeout,
    NewerPayload,
    flatten,
)
from app.jobs.leases import Lease, Timing
from app.jobs.outcome import Completed, Failed, Outcome, Rescheduled
from app.jobs.registry import JobConfig
from app.jobs.transactions import in_transaction

log = logging.getLogger(__name__)

#: Seconds after the deadline at which the thread is interrupted: the database's limit and those of
#: the handler's clients come first, as they leave their connections whole.
INTERRUPT_AFTER = 0.5


def deliver(config: JobConfig) -> Response:
    """Execute the job that the current, verified request delivers, and answer QStash."""
    try:
        return _deliver(config)
    except DatabaseUnavailable as error:
        log.error("[jobs] Database unavailable", extra={"type": config.type, "error": str(error)})  # noqa: TRY400 - the message says it all
        return outcome.busy("the database is unavailable")


def _deliver(config: JobConfig) -> Response:
    """Take the steps.

    1. Parse: what can never be executed is answered 489, and its row is dead.
    2. Claim: of any number of deliveries of one job, one at a time gets past this.
    3. Execute the handler under its deadline.
    4. Record: its work and its outcome, if the lease is still ours.
    5. Answer: done, try again, or never again.
    """
    try:
        delivery = parse(config)
        lease = _claim(config, delivery)
    except InvalidDelivery as error:
        return _refuse(config, error)
    except NewerPayload as error:
        log.warning("[jobs] Delivery put off", extra={"type": config.type, "error": str(error)})
        return outcome.busy(str(error), versions.retry_after(config, retried()))
    if isinstance(lease, Response):
        return lease
    done, timing = _execute(config, delivery, lease)
    recorded = _record(config, lease, done, timing)
    if recorded is None:
        log.warning("[jobs] Lease lost, result thrown away", extra=_about(config, lease))
        return outcome.busy("another delivery took this job over")
    return outcome.answer(lease.job_id, recorded)


def _claim(config: JobConfig, delivery: Delivery) -> Lease | Response:
    """Take the lease, or answer why it cannot be had."""
    lease = in_transaction(lambda tx: leases.claim(tx, delivery.claim(config)))
    if lease:
        return lease
    row = in_transaction(lambda tx: leases.look(tx, delivery.job_id))
    if row is None:
        return _claim_arrival(config, delivery)
    if row.job_type != config.type:
        raise InvalidDelivery(f"job {delivery.job_id} is a {row.job_type!r}, not {config.type!r}")
    if row.is_final:
        state = "dead" if row.dead else row.status
        log.info("[jobs] Delivery skipped", extra={"jobId": delivery.job_id, "status": state})
        return outcome.skipped(state)
    return outcome.busy("another delivery has this job", row.lease_left or 0)


def _claim_arrival(config: JobConfig, delivery: Delivery) -> Lease | Response:
    """Record a job that somebody else published, or that a schedule fired, then claim it."""

    def arrive(tx: Connection) -> Lease | None:
        executions.create_job_execution(tx, delivery.row(config))
        return leases.claim(tx, delivery.claim(config))

    return in_transaction(arrive) or outcome.busy("another delivery has this job")


def _execute(config: JobConfig, delivery: Delivery, lease: Lease) -> tuple[Outcome, Timing]:
    """Run the handler; whatever it does is an outcome."""
    job = _job(config, delivery, lease)
    log.info("[jobs] Processing job", extra=_about(config, lease))
    started_at, start = datetime.now(UTC), monotonic()
    running = current_job.set(job)
    try:
        with time_limit(job.expires_at + INTERRUPT_AFTER):
            done: Outcome = outcome.completed(config.handler(delivery.payload, job))
            db.session.flush()
    except JobTimeout:
        done = outcome.timed_out(lease.timeout)
    except Exception as error:  # noqa: BLE001 - a handler may raise anything; the row keeps it
        done = outcome.failed(error)
    finally:
        current_job.reset(running)
    return done, Timing(started_at=started_at, duration_ms=round((monotonic() - start) * 1000))


def _job(config: JobConfig, delivery: Delivery, lease: Lease) -> Job:
    return Job(
        id=lease.job_id,
        type=config.type,
        attempt=lease.attempt,
        generation=lease.generation,
        expires_at=monotonic() + lease.timeout,
        message_id=lease.message_id,
        schedule_id=delivery.schedule_id,
        user_id=lease.user_id,
        organization_id=lease.organization_id,
    )


def _record(config: JobConfig, lease: Lease, done: Outcome, timing: Timing) -> Outcome | None:
    """Write the outcome and return what it came to; None if the lease was lost."""
    match done:
        case Completed():
            return _record_success(config, lease, done, timing)
        case Rescheduled():
            return _record_reschedule(config, lease, done, timing)
        case Failed():
            return _record_failure(config, lease, done, timing)


def _record_success(
    config: JobConfig, lease: Lease, done: Completed, timing: Timing
) -> Outcome | None:
    """Commit the handler's work and its completion together, or roll both back."""
    try:
        if not leases.complete(db.session.connection(), lease, done, timing):
            db.session.rollback()
            return None
        db.session.commit()
    except SQLAlchemyError as error:
        # The work itself cannot be committed (a deferred constraint, a lost connection).
        return _record_failure(config, lease, outcome.failure(error), timing)
    log.info("[jobs] Job processed successfully", extra=_about(config, lease, timing))
    return done


def _record_failure(
    config: JobConfig, lease: Lease, done: Failed, timing: Timing
) -> Outcome | None:
    db.session.rollback()
    if not in_transaction(lambda tx: leases.fail(tx, lease, done, timing)):
        return None
    last = done.permanent or lease.retried >= lease.max_retries
    log.log(
        logging.ERROR if last else logging.WARNING,
        "[jobs] Job processing failed",
        extra={**_about(config, lease, timing), "error": done.error, "dead": last},
    )
    return done


def _record_reschedule(
    config: JobConfig, lease: Lease, done: Rescheduled, timing: Timing
) -> Outcome | None:
    """Put the job back and publish it anew; a job that does so for ever is stopped."""
    if lease.reschedules >= current_app.config["JOBS_MAX_RESCHEDULES"]:
        return _record_failure(config, lease, outcome.gave_up(done, lease.reschedules), timing)
    db.session.rollback()
    message = in_transaction(lambda tx: leases.reschedule(tx, lease, done, timing, config.endpoint))
    if message is None:
        return None
    log.info("[jobs] Job rescheduled", extra={**_about(config, lease, timing), "delay": done.delay})
    if outbox.publish_one(message):
        return done
    # Not published: let QStash bring the present message again instead.
    return outcome.unpublished(done)


def _refuse(config: JobConfig, error: InvalidDelivery) -> Response:
    """Mark the job dead, if there is one, and tell QStash not to try again."""
    about = {"jobId": error.job_id, "type": config.type, "error": str(error)}
    log.warning("[jobs] Delivery refused", extra={**about, "errors": error.errors})
    if error.job_id is not None:
        job_id, reason = error.job_id, f"{error}: {flatten(error.errors)}".removesuffix(": ")
        in_transaction(lambda tx: executions.mark_dead(tx, job_id, reason))
    return outcome.refuse(str(error), errors=error.errors)


def _about(config: JobConfig, lease: Lease, timing: Timing | None = None) -> dict[str, Any]:
    about = {"jobId": lease.job_id, "type": config.type, "attempt": lease.attempt}
    return about if timing is None else {**about, "duration_ms": timing.duration_ms}


@event.listens_for(db.session, "after_begin")
def _limit_statements(_: Session, __: SessionTransaction, connection: Connection) -> None:
    """Give each of a handler's transactions the time that the handler has left."""
    job = current_job.get()
    if job is not None:
        milliseconds = max(1, round(job.deadline * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
