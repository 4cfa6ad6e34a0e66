"""The first half of a job's life: enqueue > validate > record > publish.

    enqueue ── validate ── record (INSERT, pending) ── commit ── publish ──▶ QStash

The second half, on the other side of QStash, is `execute.executor`.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, Unpack
from uuid import uuid4

from flask import current_app
from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

from .. import request_id
from ..errors import DatabaseUnavailable, InvalidOption, InvalidPayload
from ..events import Enqueueing, JobPrepared, emit, observed
from ..message import Message
from ..payload import loading, sealing
from ..publish import outbox
from ..registry import JobConfig, get_job_config
from ..table import job_rows
from ..table.after_commit import after_commit
from ..table.db import connection_of, in_transaction
from ..values import jsonb
from ..values.ids import GivenOwnerId, check_owner_id
from ..values.options import Options

log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_KEY_LENGTH = 255

AnySession = Session | scoped_session[Any]


class JobId(str):
    """A job's id, which also tells whether the job existed before."""

    __slots__ = ("existed",)

    existed: bool

    @classmethod
    def of(cls, job_id: str, *, existed: bool) -> "JobId":
        made = cls(job_id)
        made.existed = existed
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a job's metadata says beside its time."""

    user_id: GivenOwnerId | None = None
    organization_id: GivenOwnerId | None = None
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        for name in ("user_id", "organization_id"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, check_owner_id(name, value))
        key = self.idempotency_key
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY_LENGTH):
            raise InvalidOption(f"idempotency_key: not a text of 1 to {MAX_KEY_LENGTH} characters")
        if key is not None and jsonb.clean_text(key) != key:
            raise InvalidOption("idempotency_key: has NUL characters or unpaired surrogates")


@dataclass(frozen=True, slots=True)
class Draft:
    """A validated job to be recorded, and the message that will carry it."""

    message: Message
    owner: Owner
    envelope: dict[str, Any]

    @property
    def row(self) -> dict[str, Any]:
        """The columns to insert."""
        return {
            "job_id": self.message.job_id,
            "job_type": self.message.job_type,
            "payload": self.envelope,
            "user_id": self.owner.user_id,
            "organization_id": self.owner.organization_id,
            "idempotency_key": self.owner.idempotency_key,
            "queue": self.message.options.get("queue"),
            "max_retries": self.message.options["retries"],
            "options": self.message.options,
            "available_at": self.message.available_at,
        }


def enqueue(
    job_type: str,
    payload: Any,
    *,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
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
        user_id: User that the job is for, of the kind that JOBS_ID_TYPE sets.
        organization_id: Organization that it is for; also the scope of `idempotency_key`.
        idempotency_key: With a key that this type and organization already used, nothing happens
            and the first job's id is returned, with `existed` true.
        session: Record in this session's transaction and publish when that commits. A rollback,
            also of a savepoint, leaves no trace. Without it, the job has its own transaction.
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
        job = draft(config, payload, owner, config.options_with(options))
        url = outbox.publisher().destination(config.endpoint)
        about = {"jobId": job.message.job_id, "type": job_type, "url": url}
        log.info("[jobs] Enqueueing job", extra=about)
        job_id = _record(job, session)
        existed = job_id != job.message.job_id
        if existed:
            log.info("[jobs] Job already exists", extra={"jobId": job_id, "type": job_type})
        else:
            _publish([job], session)
    return JobId.of(job_id, existed=existed)


def enqueue_many(
    job_type: str,
    payloads: Iterable[Any],
    *,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
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
        jobs = draft_many(config, payloads, owner, config.options_with(options))
        url = outbox.publisher().destination(config.endpoint)
        about = {"type": job_type, "count": len(jobs), "url": url}
        log.info("[jobs] Enqueueing jobs", extra=about)
        if jobs:
            _record_many(jobs, session)
            _publish(jobs, session)
    return [job.message.job_id for job in jobs]


def draft(config: JobConfig, payload: Any, owner: Owner, options: Mapping[str, Any]) -> Draft:
    """Validate a payload and write out its job.

    Args:
        config: The job's type.
        payload: Camel-case JSON as a mapping, or the payload's dataclass.
        owner: Whom it is for.
        options: As `JobConfig.options_with` returns them.

    Raises:
        InvalidPayload: `errors` maps fields to messages; also for one that is too large.
    """
    job_id = str(uuid4())
    written = {"jobId": job_id, **envelope(config, payload, owner, job_id)}
    # Kept with the options, so that a later publish of the same job carries the same ones.
    headers = {request_id.HEADER: request_id.current_request_id()}
    emit(JobPrepared(headers))
    message = Message(
        job_id=job_id,
        job_type=config.type,
        endpoint=config.endpoint,
        body=jsonb.dumps(written),
        options={**options, "headers": headers | options.get("headers", {})},
        available_at=_available_at(options),
    )
    check_size(config, message.body)
    return Draft(message, owner, written)


def _available_at(options: Mapping[str, Any]) -> datetime | None:
    """Return when the job may be delivered at the earliest, where the options say so."""
    if "not_before" in options:
        return datetime.fromisoformat(options["not_before"])
    if options.get("delay"):
        return datetime.now(UTC) + timedelta(seconds=options["delay"])
    return None


def check_size(config: JobConfig, body: str) -> None:
    """Refuse what this app would refuse when it is delivered: nothing can help it then.

    Raises:
        InvalidPayload: The message has more bytes than JOBS_MAX_BODY, sealed fields counted as
            they are once sealed.
    """
    size, largest = len(body.encode()), current_app.config["JOBS_MAX_BODY"]
    if size > largest:
        said = (
            f"Makes a message of {size:,} bytes, and JOBS_MAX_BODY is {largest:,}: store what is "
            "large, and enqueue where it is."
        )
        raise InvalidPayload(config.type, {"payload": [said]})


def draft_many(
    config: JobConfig, payloads: Iterable[Any], owner: Owner, options: Mapping[str, Any]
) -> list[Draft]:
    """Validate all payloads; `InvalidPayload.errors` maps the index of each bad one to its own."""
    drafts, errors = [], {}
    for index, payload in enumerate(payloads):
        try:
            drafts.append(draft(config, payload, owner, options))
        except InvalidPayload as error:
            errors[index] = error.errors
    if errors:
        raise InvalidPayload(config.type, errors)
    return drafts


def envelope(
    config: JobConfig,
    payload: Any,
    owner: Owner,
    job_id: str | None = None,
    *,
    cron: str | None = None,
) -> dict[str, Any]:
    """Return the job as the wire has it, but for its id, for which its secrets are sealed.

    Without an id it is a schedule's, whose `cron` each firing then tells. All its firings carry the
    same id, as a worker elsewhere may demand one; ours goes by the message's. Raises as `draft`
    does.
    """
    metadata = {
        "userId": owner.user_id,
        "organizationId": owner.organization_id,
        "idempotencyKey": owner.idempotency_key,
        "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "cron": cron,
    }
    known = {key: value for key, value in metadata.items() if value is not None}
    wire = _validated(config, payload)
    written = sealing.seal(config, wire, job_id) if config.sealed else {"payload": wire}
    named = {"jobId": str(uuid4())} if job_id is None else {}
    return {
        **named,
        "type": config.type,
        **loading.version_member(config),
        **written,
        "metadata": known,
    }


def _validated(config: JobConfig, payload: Any) -> dict[str, Any]:
    """Return the payload as the wire has it, known to load at the other end."""
    given = config.schema.dump(payload) if is_dataclass(payload) else payload
    if not isinstance(given, Mapping):
        raise InvalidPayload(config.type, {"payload": [f"Not an object: {type(given).__name__}."]})
    try:
        wire = loading.dump(config.schema, loading.load_given(config, given))
        jsonb.dumps(wire)
    except ValueError as error:
        raise InvalidPayload(config.type, {"payload": [str(error)]}) from error
    return wire


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
