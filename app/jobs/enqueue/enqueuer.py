"""The first half of a job's way: enqueue > validate > record > publish.

    enqueue ── validate ── record (INSERT, pending) ── commit ── publish ──▶ QStash

The second half, on the other side of QStash, is `execute.executor`.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, Unpack

from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

from ..errors import DatabaseUnavailable, InvalidOption
from ..events import Enqueueing, observed
from ..publish import outbox
from ..registry import get_job_config
from ..table import job_rows
from ..table.after_commit import after_commit
from ..table.db import connection_of
from ..table.transactions import in_transaction
from ..values import cron as crons
from ..values import jsonb
from ..values.ids import OwnerId
from ..values.options import Options, normalise
from .prepare import Draft, Owner, check_size, draft, draft_many, envelope

log = logging.getLogger(__name__)

T = TypeVar("T")
AnySession = Session | scoped_session[Any]


class JobId(str):
    """A job's id, which also tells whether the job was there before."""

    __slots__ = ("existed",)

    existed: bool

    @classmethod
    def of(cls, job_id: str, *, existed: bool) -> "JobId":
        made = cls(job_id)
        made.existed = existed
        return made


def enqueue(
    job_type: str,
    payload: Any,
    *,
    user_id: OwnerId | None = None,
    organization_id: OwnerId | None = None,
    idempotency_key: str | None = None,
    session: AnySession | None = None,
    **options: Unpack[Options],
) -> JobId:
    """Validate, record and publish a job; return its id.

    1. Validate: nothing is recorded unless payload and options are good.
    2. Record: one INSERT, committed before anything is published.
    3. Publish: if QStash cannot be reached, the job stays pending and the id is returned all the
       same. Nothing accepted is lost.

    Args:
        job_type: A registered name such as "send-email".
        payload: Camel-case JSON as a mapping, or the payload's dataclass.
        user_id: Whom the job is for; of the kind that JOBS_ID_TYPE says.
        organization_id: Likewise; also the scope of `idempotency_key`.
        idempotency_key: With a key that this type and organization already used, nothing happens
            and the first job's id is returned, with `existed` true.
        session: Record in this session's transaction and publish when that commits. A rollback,
            also of a savepoint, leaves no trace. Without it the job has a transaction of its own.
        **options: See `Options`.

    Raises:
        UnknownJobType: No such job type; the message names the nearest.
        InvalidPayload: `errors` maps fields to messages.
        InvalidOption: An option that QStash would refuse.
        DatabaseUnavailable: Nothing was recorded; or perhaps it was, where `job_ids` names it:
            the answer to the commit was lost. Then an idempotency key makes a repetition safe.
        PublishRefused: QStash will never take it (it answered 400, 413 or 422); the job is failed
            and dead.
            Never with `session`, whose commit is the caller's: the job is dead all the same.
    """
    owner = Owner(user_id=user_id, organization_id=organization_id, idempotency_key=idempotency_key)
    config = get_job_config(job_type)
    with observed(Enqueueing(job_type=job_type)):
        job = draft(config, payload, owner, normalise(config.options, options))
        url = outbox.publisher().destination(config.endpoint)
        about = {"jobId": job.message.job_id, "type": job_type, "url": url}
        log.info("[jobs] Enqueueing job", extra=about)
        job_id = _record(job, session)
        existed = job_id != job.message.job_id
        if existed:
            log.info("[jobs] Job exists already", extra={"jobId": job_id, "type": job_type})
        else:
            _publish([job], session)
    return JobId.of(job_id, existed=existed)


def enqueue_many(
    job_type: str,
    payloads: Iterable[Any],
    *,
    user_id: OwnerId | None = None,
    organization_id: OwnerId | None = None,
    session: AnySession | None = None,
    **options: Unpack[Options],
) -> list[str]:
    """Enqueue a job for each payload, all or none: one INSERT, and QStash's batch request.

    Args and errors are those of `enqueue`, with two differences: `InvalidPayload.errors` maps the
    index of each bad payload to its errors, and what QStash refuses is dead but not raised.
    """
    owner = Owner(user_id=user_id, organization_id=organization_id)
    config = get_job_config(job_type)
    with observed(Enqueueing(job_type=job_type)):
        jobs = draft_many(config, payloads, owner, normalise(config.options, options))
        url = outbox.publisher().destination(config.endpoint)
        about = {"type": job_type, "count": len(jobs), "url": url}
        log.info("[jobs] Enqueueing jobs", extra=about)
        if jobs:
            _record_many(jobs, session)
            _publish(jobs, session)
    return [job.message.job_id for job in jobs]


def schedule(
    job_type: str,
    cron: str,
    payload: Any,
    *,
    schedule_id: str | None = None,
    timezone: str | None = None,
    user_id: OwnerId | None = None,
    organization_id: OwnerId | None = None,
    **options: Unpack[Options],
) -> str:
    """Have QStash enqueue a job again and again; return the schedule's id.

    Each firing is a job of its own, recorded when it is delivered.

    Args:
        job_type: A registered name.
        cron: Five fields, or `@daily` and its like; see `timezone`.
        payload: As for `enqueue`; the same at every firing.
        schedule_id: Replaces the schedule of this id, if there is one.
        timezone: An IANA name such as "Europe/Berlin"; UTC where None.
        user_id: As for `enqueue`.
        organization_id: As for `enqueue`.
        **options: See `Options`; a schedule takes no `not_before`.

    Raises:
        UnknownJobType, InvalidPayload, InvalidOption: As for `enqueue`; also where a schedule of
            this id calls another app.
        PublishRefused, PublishUnavailable: There is no such schedule now.
    """
    if "not_before" in options:
        raise InvalidOption("not_before: a schedule's cron says when; leave it out")
    config = get_job_config(job_type)
    expression = _checked_cron(config.type, schedule_id, cron, timezone)
    owner = Owner(user_id=user_id, organization_id=organization_id)
    body = jsonb.dumps(envelope(config, payload, owner, cron=expression))
    check_size(config, body)
    if schedule_id is not None and (other := outbox.publisher().taken_by(schedule_id)):
        raise InvalidOption(
            f"schedule_id: {schedule_id!r} is another app's, it calls {other}; take another id"
        )
    scheduled = outbox.publisher().schedule(
        config.endpoint,
        expression,
        body,
        normalise(config.options, options),
        schedule_id=schedule_id,
    )
    log.info("[jobs] Job scheduled", extra={"scheduleId": scheduled, "type": job_type})
    return scheduled


def _checked_cron(job_type: str, schedule_id: str | None, cron: str, timezone: str | None) -> str:
    try:
        return crons.checked(cron, timezone)
    except InvalidOption as error:
        called = f"the schedule {schedule_id}" if schedule_id else "a schedule"
        raise InvalidOption(f"{error} ({called} of {job_type})") from error


def _record(job: Draft, session: AnySession | None) -> str:
    """Insert the job and return its id, or that of the job which had its key first."""
    if session is not None:
        return job_rows.create_job_execution(connection_of(session), job.row)
    return _certainly(lambda tx: job_rows.create_job_execution(tx, job.row), [job])


def _record_many(jobs: Sequence[Draft], session: AnySession | None) -> None:
    rows = [job.row for job in jobs]
    if session is not None:
        job_rows.create_job_executions(connection_of(session), rows)
    else:
        _certainly(lambda tx: job_rows.create_job_executions(tx, rows), jobs)


def _certainly(insert: Callable[[Connection], T], jobs: Sequence[Draft]) -> T:
    """Insert jobs and commit; where the answer to that is lost, do it again.

    The ids are ours, so what the first commit has recorded, the second leaves as it is.
    """
    try:
        return in_transaction(insert)
    except DatabaseUnavailable as error:
        if not error.is_uncertain:
            raise
    try:
        return in_transaction(insert)
    except DatabaseUnavailable as error:
        job_ids = [job.message.job_id for job in jobs]
        named = job_ids[0] if len(job_ids) == 1 else f"{len(job_ids)} jobs from {job_ids[0]} on"
        said = f"{named} may have been recorded: {error}"
        raise DatabaseUnavailable(said, is_uncertain=True, job_ids=job_ids) from error


def _publish(jobs: Sequence[Draft], session: AnySession | None) -> None:
    messages = [job.message for job in jobs]
    if session is None:
        outbox.publish(messages)
    else:
        after_commit(session, outbox.publish_committed, messages)
