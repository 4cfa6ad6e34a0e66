"""The second half of a job's life: verify > parse > claim > execute > record > respond.

    record ◀── execute handler under deadline ◀── claim ◀── parse ◀── verify ◀── signed POST

`@signed` verifies before `deliver` is called. The first half is `enqueuer`.
"""

import logging
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from inspect import iscoroutine
from math import ceil
from time import monotonic
from typing import Any

from flask import Response, request
from sqlalchemy.exc import SQLAlchemyError

from ..context import Job, current_job
from ..deadline import Limit, no_silence, time_limit
from ..errors import Continue, DatabaseUnavailable, InvalidDelivery, NewerPayload, flatten
from ..events import Delivered, Executing, JobDied, emit, observed
from ..message import Message
from ..middleware import around
from ..outcome import (
    NOT_PUBLISHED,
    Busy,
    Cancelled,
    Completed,
    Continued,
    Dead,
    Failed,
    Lost,
    Outcome,
    Refused,
    Released,
    Skipped,
)
from ..payload import loading
from ..publish import outbox, relay, turns
from ..registry import JobConfig
from ..table import attempt_sql, attempts, job_rows, refusals
from ..table.attempts import Attempt, alone, within
from ..table.db import completing, db, in_transaction
from ..table.refusals import ClaimRefused
from ..values import jsonb
from . import arrival, coroutines, pausing, raised, shutdown
from .delivery import as_firing, parse, retried, spend
from .expired import Expired
from .heartbeat import Heartbeat, new_job
from .log_lines import LogLines
from .session import drop_connection

log = logging.getLogger(__name__)

#: Seconds after the deadline at which the thread is interrupted: the database's limit and those of
#: the handler's clients come first, as they leave their connections whole.
INTERRUPT_AFTER = 0.5
#: Seconds after which a claim counts as stuck: the database does not respond.
CLAIM_SILENT_AFTER = 20
#: The same for recording an outcome, whose commit may take longer.
RECORD_SILENT_AFTER = 60


def deliver(config: JobConfig) -> Response:
    """Execute the job that the current, verified request delivers, and answer QStash."""
    attempt = Attempt(config)
    try:
        outcome = _come_to(attempt)
    except DatabaseUnavailable as error:
        log.error("[jobs] Database unavailable", extra={"type": config.type, "error": str(error)})  # noqa: TRY400 - the message says it all
        outcome = Busy("the database is unavailable")
    emit(Delivered(config.type, outcome.label))
    return outcome.response(attempt)


def _come_to(attempt: Attempt) -> Outcome:
    """Take the steps and return the outcome.

    1. Parse: what can never be executed is refused, and its row is dead.
    2. Claim: of any number of deliveries of one job, one at a time gets past this.
    3. Execute the handler under its deadline.
    4. Record: its work and its outcome, if the lease is still ours.
    """
    config = attempt.config
    what = f"{config.type} {request.headers.get('Upstash-Message-Id', '')}".rstrip()
    try:
        attempt.delivery = parse(config)
        with no_silence(CLAIM_SILENT_AFTER, f"the claim of {what}"):
            not_run = claim(attempt)
    except InvalidDelivery as error:
        return _refuse(config, error)
    except NewerPayload as error:
        log.warning("[jobs] Delivery postponed", extra={"type": config.type, "error": str(error)})
        return Busy(str(error), loading.wait_for_newer_code(config, retried()), counts=True)
    if not_run is not None:
        return _say(not_run, {"jobId": attempt.job_id})
    outcome = execute(attempt)
    with no_silence(RECORD_SILENT_AFTER, f"the record of {what}"):
        outcome = record(attempt, outcome)
    if isinstance(outcome, Completed | Dead | Cancelled):
        _publish_next(attempt)
    return outcome


def _publish_next(attempt: Attempt) -> None:
    """Publish what the end of this job begins."""
    if attempt.lease.batch_id is not None:
        relay.publish_started(attempt.lease.batch_id)
    if attempt.lease.once_more:
        relay.publish_followers(attempt.job_id)
    rules, schedule_id = attempt.delivery.rules, attempt.lease.schedule_id
    if rules is not None and rules.overlap == "queue" and schedule_id is not None:
        turns.publish_next(schedule_id)


def claim(attempt: Attempt) -> Outcome | None:
    """Take the job's lease for this attempt, or return why that is not possible."""
    if shutdown.draining.is_set() and _has_tries_left(attempt):
        return Busy("this process is about to stop")
    firing = as_firing(attempt.delivery)
    if firing and in_transaction(lambda tx: arrival.is_unknown(tx, attempt.job_id)):
        attempt.delivery = firing
    if attempt.delivery.is_firing:
        spend(attempt.delivery)
    if attempts.claim(alone, attempt):
        return None
    found = in_transaction(lambda tx: refusals.peek(tx, attempt.job_id, attempt=attempt))
    if found is None:
        return arrival.claim(attempt)
    if found.job_type != attempt.config.type:
        said = f"job {attempt.job_id} is a {found.job_type!r}, not {attempt.config.type!r}"
        raise InvalidDelivery(said)
    # First, as a paused job may be one that is redriven from the dead.
    return pausing.put_back(attempt, found) or _refused(attempt, found)


def _refused(attempt: Attempt, found: ClaimRefused) -> Outcome:
    if found.is_final:
        return Skipped("dead" if found.dead else found.status)
    if found.handed_over:
        return _hand_over_again(attempt, found.handed_over)
    return Busy("another delivery has this job", found.lease_left or 0)


def _has_tries_left(attempt: Attempt) -> bool:
    """Tell whether QStash retries after a 503, which uses up one of its retries."""
    row = in_transaction(lambda tx: refusals.peek(tx, attempt.job_id))
    told = None if row is None else row.max_retries
    return attempt.delivery.retried < (attempt.config.retries if told is None else told)


def _hand_over_again(attempt: Attempt, ended: str) -> Outcome:
    """Publish the newer message if the process that should have done so died before."""
    waiting = relay.publish_job(attempt.job_id).waiting
    if waiting and attempt.delivery.retried < attempt.config.retries:
        return Busy(NOT_PUBLISHED)
    return Skipped(ended)


def execute(attempt: Attempt) -> Outcome:
    """Run the handler; whatever it does is an outcome."""
    with observed(Executing(attempt=attempt)) as step:
        attempt.started_at, start = datetime.now(UTC), monotonic()
        if (not_begun := _not_begun(attempt)) is not None:
            attempt.duration_ms = 0
            return not_begun
        heartbeat = Heartbeat(attempt)
        job = new_job(attempt, heartbeat)
        log.info("[jobs] Processing job", extra=attempt.log_fields)
        running = current_job.set(job)
        limit: Limit | None = None
        try:
            with LogLines(attempt), _limit(attempt, job) as limit:
                if attempt.delivery.broken is not None:
                    raise attempt.delivery.broken  # noqa: TRY301 - as what the handler raises
                outcome: Outcome = call_handler(attempt.config, attempt.delivery.payload, job)
                if db.session.registry.has():
                    # Its work goes to the database before its time is up.
                    db.session.flush()
        except BaseException as error:  # noqa: BLE001 - a handler may raise anything; the row keeps it
            outcome = raised.outcome_of(error, attempt.lease.timeout)
        finally:
            current_job.reset(running)
        if limit is not None and limit.interrupted:
            drop_connection()
        attempt.progress = heartbeat.unwritten
        attempt.duration_ms = round((monotonic() - start) * 1000)
        if isinstance(outcome, Failed):
            step.error, step.exception = outcome.kind, outcome.exception
    return outcome


def _not_begun(attempt: Attempt) -> Outcome | None:
    """Return why a claimed job is not to be run after all."""
    if attempt.lease.called_off:
        return Cancelled()
    if attempt.lease.expired:
        return Expired()
    return Released() if shutdown.draining.is_set() else None


def call_handler(config: JobConfig, payload: Any, job: Job) -> Completed | Continued:
    """Call the handler, through its middleware, and check its result or state.

    Raises:
        PermanentError: What it returned, or wants to go on from, cannot be stored.
        BaseException: Whatever it raises but `Continue`.
    """
    try:
        if config.middleware:
            handler = partial(coroutines.handled, config.handler, payload, job)
            returned = around(config.middleware, payload, job, handler)
        else:  # without a frame between
            returned = config.handler(payload, job)
            if iscoroutine(returned):
                returned = coroutines.run(returned)
        return Completed(loading.checked_result(returned))
    except Continue as asked:
        return Continued(loading.checked_state(asked.state, before=job.state), job.leg)


def _limit(attempt: Attempt, job: Job) -> AbstractContextManager[Limit]:
    """Bound the handler by its deadline, and both by the lease."""
    config, margin = attempt.config, attempt.delivery.arrived_at + attempt_sql.LEASE_MARGIN
    return time_limit(
        job.expires_at + INTERRUPT_AFTER,
        about=f"{config.type} {job.id}",
        lease_until=margin + attempt.lease.timeout,
        beaten_until=None if config.heartbeat is None else margin + config.heartbeat,
    )


def record(attempt: Attempt, outcome: Outcome) -> Outcome:
    """Write what the attempt came to, if the lease is still ours; if that cannot be done, that.

    Raises:
        DatabaseUnavailable: Nothing was recorded; the lease runs out and the job is run again.
    """
    try:
        return _record(attempt, outcome)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        failed = raised.failure(error)
        said = {**attempt.log_fields, "error": failed.error}
        log.error("[jobs] Outcome not recorded", exc_info=failed.exception, extra=said)  # noqa: TRY400 - nothing hidden
        return _record(attempt, failed)


def _record(attempt: Attempt, outcome: Outcome) -> Outcome:
    outcome = outcome.allowed(attempt)
    try:
        row = _write(attempt, outcome)
    except SQLAlchemyError as error:
        if not outcome.keeps_work:
            raise
        # The work itself failed to commit (a deferred constraint, a lost connection).
        return _record(attempt, raised.failure(error))
    if row is None:
        db.session.rollback()
        return _say(Lost(), attempt.log_fields)
    done = _say(outcome.recorded(row), attempt.log_fields)
    if isinstance(done, Dead):
        emit(JobDied(attempt.config.type))
    if done.puts_back and row.pause is None and not outbox.publish_one(_message(attempt, row)):
        # A retry before the quota's renewal would help nobody; the sweep publishes after that.
        is_put_off = outbox.publisher().quota.closed is not None
        return done if is_put_off else done.unpublished(attempt)
    return done


def _write(attempt: Attempt, outcome: Outcome) -> Any:
    """Write the outcome with the handler's work, or alone after that was rolled back.

    The work in `db.session` and its completion, or its checkpoint, commit together or not at all;
    in two databases (JOBS_BIND_KEY), the work before its completion.
    """
    session = db.session
    if not outcome.keeps_work:
        session.rollback()
    elif session.registry.has() and session().in_transaction():
        with completing(session) as connection:
            row = outcome.record(within(connection), attempt)
            if row is not None:
                session.commit()
        return row
    if outcome.statement is None:
        return None
    # There is nothing in the session to commit, so a connection does, without a session's cost.
    return outcome.record(alone, attempt)


def _message(attempt: Attempt, row: Any) -> Message:
    """Return the message for the job's next delivery."""
    timeout = ceil(attempt.lease.timeout)
    return Message(
        job_id=attempt.job_id,
        job_type=row.job_type,
        endpoint=attempt.config.endpoint,
        body=jsonb.dumps(row.payload),
        options={"retries": row.max_retries, "timeout": timeout, **row.options},
        generation=row.generation,
        legs=row.legs,
        reschedules=row.reschedules,
        available_at=row.available_at,
    )


def _say(outcome: Outcome, about: dict[str, Any]) -> Outcome:
    exception = outcome.exception if isinstance(outcome, Failed) else None
    if exception is not None:
        raised.announce(exception)
    if outcome.event is not None:
        log.log(outcome.level, outcome.event, exc_info=exception, extra=about | outcome.log_fields)
    return outcome


def _refuse(config: JobConfig, error: InvalidDelivery) -> Outcome:
    """Mark the job dead, if there is one: no retry can help."""
    about = {"jobId": error.job_id, "type": config.type, "error": str(error)}
    log.warning("[jobs] Delivery rejected", extra={**about, "errors": error.errors})
    if error.job_id is not None:
        said = f"{error}: {flatten(error.errors)}".removesuffix(": ")
        job_id, reason = error.job_id, jsonb.bounded(said)
        if in_transaction(lambda tx: job_rows.mark_dead(tx, job_id, reason)):
            emit(JobDied(config.type))
    return Refused(str(error), error.errors)
