"""The second half of a job's way: verify > parse > claim > execute > record > answer.

    record ◀── execute handler under deadline ◀── claim ◀── parse ◀── verify ◀── signed POST

`@signed` verifies before `deliver` is called, and `recorder` does the recording. The first half is
`dispatcher`.
"""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from app.db import db
from app.jobs import answers, executions, leases, outcome, republish, versions
from app.jobs.answers import Answer
from app.jobs.context import Job, current_job
from app.jobs.deadline import time_limit
from app.jobs.delivery import Delivery, parse, retried
from app.jobs.drain import is_draining
from app.jobs.errors import (
    DatabaseUnavailable,
    Interruption,
    InvalidDelivery,
    NewerPayload,
    flatten,
)
from app.jobs.heartbeat import Heartbeat
from app.jobs.leases import Lease, Timing
from app.jobs.observers import Delivered, Died, Executing, observed, tell
from app.jobs.outcome import Completed, Continued, Failed, Outcome
from app.jobs.recorder import about, record
from app.jobs.registry import JobConfig
from app.jobs.transactions import in_transaction

log = logging.getLogger(__name__)

#: Seconds after the deadline at which the thread is interrupted: the database's limit and those of
#: the handler's clients come first, as they leave their connections whole.
INTERRUPT_AFTER = 0.5


def deliver(config: JobConfig) -> Answer:
    """Execute the job that the current, verified request delivers, and answer QStash."""
    answer = _answer(config)
    tell(Delivered(config.type, answer.outcome))
    return answer


def _answer(config: JobConfig) -> Answer:
    if is_draining():
        return answers.busy("this process is about to stop")
    try:
        return _deliver(config)
    except DatabaseUnavailable as error:
        log.error("[jobs] Database unavailable", extra={"type": config.type, "error": str(error)})  # noqa: TRY400 - the message says it all
        return answers.busy("the database is unavailable")


def _deliver(config: JobConfig) -> Answer:
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
        return answers.busy(str(error), versions.retry_after(config, retried()), counts=True)
    if isinstance(lease, Answer):
        return lease
    done, timing = _observed(config, delivery, lease)
    return answers.answer(lease.job_id, record(config, lease, done, timing))


def _claim(config: JobConfig, delivery: Delivery) -> Lease | Answer:
    """Take the lease, or answer why it cannot be had."""
    if delivery.is_firing and not in_transaction(delivery.spend):
        raise InvalidDelivery("the token of this delivery has brought another firing before")
    lease = in_transaction(lambda tx: leases.claim(tx, delivery.claim(config)))
    if lease:
        return lease
    row = in_transaction(lambda tx: leases.look(tx, delivery.job_id, delivery.message_id))
    if row is None:
        return _claim_arrival(config, delivery)
    if row.job_type != config.type:
        raise InvalidDelivery(f"job {delivery.job_id} is a {row.job_type!r}, not {config.type!r}")
    if row.is_final:
        state = "dead" if row.dead else row.status
        log.info("[jobs] Delivery skipped", extra={"jobId": delivery.job_id, "status": state})
        return answers.skipped(state)
    if row.handed_over:
        return _hand_over_again(config, delivery, row.handed_over)
    return answers.busy("another delivery has this job", row.lease_left or 0)


def _hand_over_again(config: JobConfig, delivery: Delivery, ended: str) -> Answer:
    """See that the newer message is published, as the process may have died on its way to that."""
    waiting = republish.publish_job(delivery.job_id).waiting
    if waiting and delivery.retried < config.retries:
        return answers.busy(outcome.not_handed_over().error)
    return answers.skipped(ended)


def _claim_arrival(config: JobConfig, delivery: Delivery) -> Lease | Answer:
    """Record a job that somebody else published, or that a schedule fired, then claim it."""

    def arrive(tx: Connection) -> Lease | None:
        executions.create_job_execution(tx, delivery.row(config))
        return leases.claim(tx, delivery.claim(config))

    return in_transaction(arrive) or answers.busy("another delivery has this job")


def _observed(config: JobConfig, delivery: Delivery, lease: Lease) -> tuple[Outcome, Timing]:
    with observed(Executing(job_type=config.type, lease=lease)) as step:
        done, timing = _execute(config, delivery, lease)
        step.error = done.kind if isinstance(done, Failed) else None
    return done, timing


def _execute(config: JobConfig, delivery: Delivery, lease: Lease) -> tuple[Outcome, Timing]:
    """Run the handler; whatever it does is an outcome."""
    beat = Heartbeat(lease, config.heartbeat or lease.timeout)
    job = _job(config, delivery, lease, beat)
    log.info("[jobs] Processing job", extra=about(config, lease))
    started_at, start = datetime.now(UTC), monotonic()
    running = current_job.set(job)
    try:
        with time_limit(job.expires_at + INTERRUPT_AFTER):
            done: Outcome = replace(_run(config, delivery, job), progress=beat.unwritten)
    except Interruption as why:
        done = outcome.interrupted(why, lease.timeout)
    except Exception as error:  # noqa: BLE001 - a handler may raise anything; the row keeps it
        done = outcome.failed(error)
    finally:
        current_job.reset(running)
    return done, Timing(started_at=started_at, duration_ms=round((monotonic() - start) * 1000))


def _run(config: JobConfig, delivery: Delivery, job: Job) -> Completed | Continued:
    """Call the handler; its work goes to the database before its time is up."""
    done = outcome.of(lambda: config.handler(delivery.payload, job), after=job.state)
    db.session.flush()
    return done


def _job(config: JobConfig, delivery: Delivery, lease: Lease, beat: Heartbeat) -> Job:
    return Job(
        id=lease.job_id,
        type=config.type,
        attempt=lease.attempt,
        generation=lease.generation,
        expires_at=monotonic() + lease.timeout,
        leg=lease.leg,
        state=lease.state,
        message_id=lease.message_id,
        schedule_id=delivery.schedule_id,
        user_id=lease.user_id,
        organization_id=lease.organization_id,
        beat=beat,
    )


def _refuse(config: JobConfig, error: InvalidDelivery) -> Answer:
    """Mark the job dead, if there is one, and tell QStash not to try again."""
    about = {"jobId": error.job_id, "type": config.type, "error": str(error)}
    log.warning("[jobs] Delivery refused", extra={**about, "errors": error.errors})
    if error.job_id is not None:
        job_id, reason = error.job_id, f"{error}: {flatten(error.errors)}".removesuffix(": ")
        if in_transaction(lambda tx: executions.mark_dead(tx, job_id, reason)):
            tell(Died(config.type))
    return answers.refuse(str(error), errors=error.errors)


@event.listens_for(db.session, "after_begin")
def _limit_statements(_: Session, __: SessionTransaction, connection: Connection) -> None:
    """Give each of a handler's transactions the time that the handler has left."""
    job = current_job.get()
    if job is not None:
        milliseconds = max(1, round(job.deadline * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
