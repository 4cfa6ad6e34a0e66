"""The second half of a job's way: verify > parse > claim > execute > record > answer.

    record ◀── execute handler under deadline ◀── claim ◀── parse ◀── verify ◀── signed POST

`@signed` verifies before `deliver` is called, and `recorder` does the recording. The first half is
`dispatcher`.
"""

import logging
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

from flask import request
from sqlalchemy import Connection

from .. import outcome
from ..context import Job, current_job
from ..deadline import Limit, no_silence, time_limit
from ..errors import DatabaseUnavailable, Interruption, InvalidDelivery, NewerPayload, flatten
from ..events import Delivered, Died, Executing, observed, tell
from ..outcome import Completed, Continued, Failed, Outcome
from ..payload import versions
from ..publish import relay
from ..registry import JobConfig
from ..table import attempt_sql, attempts, job_rows, memory
from ..table.attempts import Lease, Timing
from ..table.db import db
from ..table.transactions import in_transaction
from ..values import jsonb
from . import responses
from .delivery import Delivery, parse, retried
from .heartbeat import Heartbeat
from .record import about, record
from .responses import Answer
from .shutdown import is_draining

log = logging.getLogger(__name__)

#: Seconds after the deadline at which the thread is interrupted: the database's limit and those of
#: the handler's clients come first, as they leave their connections whole.
INTERRUPT_AFTER = 0.5
#: Seconds after which a claim counts as stuck: the database has fallen silent.
CLAIM_SILENT_AFTER = 20
#: Likewise a record, whose commit may have much to do.
RECORD_SILENT_AFTER = 60


def deliver(config: JobConfig) -> Answer:
    """Execute the job that the current, verified request delivers, and answer QStash."""
    answer = _answer(config)
    tell(Delivered(config.type, answer.outcome))
    return answer


def _answer(config: JobConfig) -> Answer:
    try:
        return _deliver(config)
    except DatabaseUnavailable as error:
        log.error("[jobs] Database unavailable", extra={"type": config.type, "error": str(error)})  # noqa: TRY400 - the message says it all
        return responses.busy("the database is unavailable")


def _deliver(config: JobConfig) -> Answer:
    """Take the steps.

    1. Parse: what can never be executed is answered 489, and its row is dead.
    2. Claim: of any number of deliveries of one job, one at a time gets past this.
    3. Execute the handler under its deadline.
    4. Record: its work and its outcome, if the lease is still ours.
    5. Answer: done, try again, or never again.
    """
    what = f"{config.type} {request.headers.get('Upstash-Message-Id', '')}".rstrip()
    try:
        delivery = parse(config)
        with no_silence(CLAIM_SILENT_AFTER, f"the claim of {what}"):
            if is_draining() and _has_tries_left(config, delivery):
                return responses.busy("this process is about to stop")
            lease = _claim(config, delivery)
    except InvalidDelivery as error:
        return _refuse(config, error)
    except NewerPayload as error:
        log.warning("[jobs] Delivery put off", extra={"type": config.type, "error": str(error)})
        return responses.busy(str(error), versions.retry_after(config, retried()), counts=True)
    if isinstance(lease, Answer):
        return lease
    done, timing = _observed(config, delivery, lease)
    with no_silence(RECORD_SILENT_AFTER, f"the record of {what}"):
        return responses.answer(lease.job_id, _recorded(config, lease, done, timing))


def _has_tries_left(config: JobConfig, delivery: Delivery) -> bool:
    """Tell whether QStash comes again after a 503, which costs it one of its tries."""
    row = in_transaction(lambda tx: attempts.look(tx, delivery.job_id))
    retries = config.retries if row is None or row.max_retries is None else row.max_retries
    return delivery.retried < retries


def _recorded(config: JobConfig, lease: Lease, done: Outcome, timing: Timing) -> Outcome:
    """Record the outcome; if that cannot be done, record that."""
    try:
        return record(config, lease, done, timing)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        failed = outcome.failure(error)
        said = {**about(config, lease, timing), "error": failed.error}
        log.error("[jobs] Outcome cannot be recorded", exc_info=failed.exception, extra=said)  # noqa: TRY400 - nothing hidden
        return record(config, lease, failed, timing)


def _claim(config: JobConfig, delivery: Delivery) -> Lease | Answer:
    """Take the lease, or answer why it cannot be had."""
    if (firing := delivery.as_firing) and in_transaction(lambda tx: _is_unknown(tx, delivery)):
        delivery = firing
    if delivery.is_firing:
        _spend(delivery)
    lease = in_transaction(lambda tx: attempts.claim(tx, delivery.claim(config)))
    if lease:
        return lease
    row = in_transaction(lambda tx: attempts.look(tx, delivery.job_id, delivery.message_id))
    if row is None:
        return _claim_arrival(config, delivery)
    if row.job_type != config.type:
        raise InvalidDelivery(f"job {delivery.job_id} is a {row.job_type!r}, not {config.type!r}")
    if row.is_final:
        state = "dead" if row.dead else row.status
        log.info("[jobs] Delivery skipped", extra={"jobId": delivery.job_id, "status": state})
        return responses.skipped(state)
    if row.handed_over:
        return _hand_over_again(config, delivery, row.handed_over)
    return responses.busy("another delivery has this job", row.lease_left or 0)


def _hand_over_again(config: JobConfig, delivery: Delivery, ended: str) -> Answer:
    """See that the newer message is published, as the process may have died on its way to that."""
    waiting = relay.publish_job(delivery.job_id).waiting
    if waiting and delivery.retried < config.retries:
        return responses.busy(outcome.not_handed_over().error)
    return responses.skipped(ended)


def _is_unknown(connection: Connection, delivery: Delivery) -> bool:
    """Tell whether there never was a job of this id, as far as it is remembered."""
    job_id = delivery.job_id
    return attempts.look(connection, job_id) is None and not memory.deleted(connection, [job_id])


def _spend(delivery: Delivery) -> None:
    if not in_transaction(delivery.spend):
        raise InvalidDelivery("the token of this delivery has brought another job before")


def _claim_arrival(config: JobConfig, delivery: Delivery) -> Lease | Answer:
    """Record a job that somebody else published, or that a schedule fired, then claim it."""
    if in_transaction(lambda tx: memory.is_done(tx, delivery.job_id, delivery.message_id)):
        return responses.skipped("deleted")
    if not delivery.is_firing:
        _spend(delivery)

    def arrive(tx: Connection) -> Lease | None:
        job_rows.create_job_execution(tx, delivery.row(config))
        return attempts.claim(tx, delivery.claim(config))

    return in_transaction(arrive) or responses.busy("another delivery has this job")


def _observed(config: JobConfig, delivery: Delivery, lease: Lease) -> tuple[Outcome, Timing]:
    with observed(Executing(job_type=config.type, lease=lease)) as step:
        done, timing = _execute(config, delivery, lease)
        if isinstance(done, Failed):
            step.error, step.exception = done.kind, done.exception
    return done, timing


def _execute(config: JobConfig, delivery: Delivery, lease: Lease) -> tuple[Outcome, Timing]:
    """Run the handler; whatever it does is an outcome."""
    if is_draining():
        return outcome.released(), Timing(started_at=datetime.now(UTC), duration_ms=0)
    beat = Heartbeat(lease, config.heartbeat or lease.timeout)
    job = _job(config, delivery, lease, beat)
    log.info("[jobs] Processing job", extra=about(config, lease))
    started_at, start = datetime.now(UTC), monotonic()
    running = current_job.set(job)
    limit: Limit | None = None
    try:
        with _limit(config, delivery, lease, job) as limit:
            done: Outcome = replace(_run(config, delivery, job), progress=beat.unwritten)
    except Interruption as why:
        done = outcome.interrupted(why, lease.timeout)
    except BaseException as error:  # noqa: BLE001 - a handler may raise anything; the row keeps it
        done = outcome.failed(error)
    finally:
        current_job.reset(running)
    if limit is not None and limit.interrupted:
        _drop_connection()
    return done, Timing(started_at=started_at, duration_ms=round((monotonic() - start) * 1000))


def _limit(
    config: JobConfig, delivery: Delivery, lease: Lease, job: Job
) -> AbstractContextManager[Limit]:
    """Bound the handler by its deadline, and both by the lease."""
    margin = delivery.arrived_at + attempt_sql.LEASE_MARGIN
    return time_limit(
        job.expires_at + INTERRUPT_AFTER,
        about=f"{config.type} {job.id}",
        lease_until=margin + lease.timeout,
        beaten_until=None if config.heartbeat is None else margin + config.heartbeat,
    )


def _drop_connection() -> None:
    """Leave the connection of a handler that was interrupted: what it did may be half done."""
    try:
        db.session().invalidate()
    except Exception:
        log.exception("[jobs] Session of an interrupted handler thrown away")
        db.session.registry.clear()


def _run(config: JobConfig, delivery: Delivery, job: Job) -> Completed | Continued:
    """Call the handler; its work goes to the database before its time is up."""
    if delivery.broken is not None:
        raise delivery.broken
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
        look=beat.look,
        look_again=beat.look_again,
    )


def _refuse(config: JobConfig, error: InvalidDelivery) -> Answer:
    """Mark the job dead, if there is one, and tell QStash not to try again."""
    about = {"jobId": error.job_id, "type": config.type, "error": str(error)}
    log.warning("[jobs] Delivery refused", extra={**about, "errors": error.errors})
    if error.job_id is not None:
        said = f"{error}: {flatten(error.errors)}".removesuffix(": ")
        job_id, reason = error.job_id, jsonb.bounded(said)
        if in_transaction(lambda tx: job_rows.mark_dead(tx, job_id, reason)):
            tell(Died(config.type))
    return responses.refuse(str(error), errors=error.errors)
