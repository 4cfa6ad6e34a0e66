"""The first half of a job's life: enqueue > validate > record > publish.

    enqueue ── validate ── record (INSERT, pending) ── commit ── publish ──▶ QStash

The second half, on the other side of QStash, is `execute.executor`; `many` does the same for many
jobs at once.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from flask import current_app
from marshmallow import ValidationError
from sqlalchemy.orm import Session, scoped_session

from .. import request_id
from ..context import current_job
from ..errors import DatabaseUnavailable, InvalidOption, InvalidPayload
from ..events import Enqueueing, JobPrepared, emit, observed
from ..message import Message
from ..payload import loading, sealing
from ..publish import outbox
from ..registry import JobConfig, get_job_config
from ..table import job_rows
from ..table.after_commit import after_commit
from ..table.attempts import alone, within
from ..table.db import connection_of
from ..table.job_rows import Recorded
from ..values import jsonb
from ..values.ids import GivenOwnerId, check_owner_id, new_job_id
from ..values.options import Options
from ..values.tags import check_tags

log = logging.getLogger(__name__)

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
    """Whose a job is, and what it is found by."""

    user_id: GivenOwnerId | None = None
    organization_id: GivenOwnerId | None = None
    idempotency_key: str | None = None
    tags: Sequence[str] = ()

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
        if self.tags != ():
            object.__setattr__(self, "tags", check_tags("tags", self.tags))

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that say so."""
        return {
            "user_id": self.user_id,
            "organization_id": self.organization_id,
            "idempotency_key": self.idempotency_key,
            "tags": list(self.tags) or None,
            "parent_id": parent.id if (parent := current_job.get()) else None,
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """What the jobs of one call have in common.

    Attributes:
        options: Those of each message, its headers included. They are kept on the row, so that a
            later publish of the same job carries the same ones.
        metadata: As the wire has it.
        available_at: When they may be delivered at the earliest, where the options say so.
    """

    config: JobConfig
    owner: Owner
    options: Mapping[str, Any]
    metadata: Mapping[str, Any]
    available_at: datetime | None
    _limited: dict[Any, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: JobConfig, owner: Owner, options: Mapping[str, Any]) -> "Terms":
        """Return the terms of jobs enqueued now; `options` are those of `options_with`."""
        headers = {request_id.HEADER: request_id.current_request_id()}
        emit(JobPrepared(headers))
        now = datetime.now(UTC)
        return cls(
            config=config,
            owner=owner,
            options={
                **limited(config, options, owner),
                "headers": headers | options.get("headers", {}),
            },
            metadata=metadata_of(owner, now),
            available_at=_available_at(options, now),
        )

    def options_for(self, wire: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the options of the job with a payload: the same object for the same ones."""
        limit = self.config.limit
        if limit is None or limit.is_of_owner:
            return self.options
        value = wire.get(limit.per)
        if value not in self._limited:
            self._limited[value] = limited(self.config, self.options, self.owner, wire)
        return self._limited[value]


def limited(
    config: JobConfig,
    options: Mapping[str, Any],
    owner: Owner,
    wire: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Return options with the limit of the type for just this owner, or payload.

    A queue, or flow control of the call's own, takes its place.
    """
    limit = config.limit
    if limit is None or "queue" in options or "flow_control" in options:
        return options
    if limit.is_of_owner:
        value: object = getattr(owner, f"{limit.per}_id")
    elif wire is None:
        return options
    else:
        value = wire.get(limit.per)
    return {**options, "flow_control": limit.flow_control(config.type, value)}


def enqueue(
    job_type: str,
    payload: Any,
    *,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
    idempotency_key: str | None = None,
    tags: Sequence[str] | None = None,
    session: AnySession | None = None,
    **options: Unpack[Options],
) -> JobId:
    """Validate, record and publish a job; return its id.

    1. Validate: nothing is recorded unless payload and options are good.
    2. Record: one INSERT, committed before anything is published.
    3. Publish: if QStash cannot be reached, or a pause holds the job, it stays pending and the id
       is returned all the same. Nothing accepted is lost.

    Args:
        job_type: A registered name such as "send-email".
        payload: Camel-case JSON as a mapping, or the payload's dataclass.
        user_id: User that the job is for, of the kind that JOBS_ID_TYPE sets.
        organization_id: Organization that it is for; also the scope of `idempotency_key`.
        idempotency_key: With a key that this type and organization already used, nothing happens
            and the first job's id is returned, with `existed` true.
        tags: Up to 10 short names to find the job by; without, those that its type declares.
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
    config = get_job_config(job_type)
    owner = Owner(
        user_id=user_id,
        organization_id=organization_id,
        idempotency_key=idempotency_key,
        tags=config.tags if tags is None else tags,
    )
    with observed(Enqueueing(job_type=job_type)):
        terms = Terms.of(config, owner, config.options_with(options))
        message = write(terms, payload)
        url = outbox.publisher().destination(config.endpoint)
        about = {"jobId": message.job_id, "type": job_type, "url": url}
        log.info("[jobs] Enqueueing job", extra=about)
        job_id, pause = _record(message, owner, session)
        existed = job_id != message.job_id
        if existed:
            log.info("[jobs] Job already exists", extra={"jobId": job_id, "type": job_type})
        elif session is not None:
            after_commit(session, outbox.publish_committed, [message])
        elif pause is not None:
            outbox.leave_paused([message])
        else:
            outbox.publish([message])
    return JobId.of(job_id, existed=existed)


def write(terms: Terms, payload: Any) -> Message:
    """Validate a payload and write out its job's first message.

    Args:
        terms: Those of the call.
        payload: Camel-case JSON as a mapping, or the payload's dataclass.

    Raises:
        InvalidPayload: `errors` maps fields to messages; also for one that is too large.
    """
    config, job_id = terms.config, new_job_id()
    wire = wire_of(config, payload)
    return Message(
        job_id=job_id,
        job_type=config.type,
        endpoint=config.endpoint,
        body=body_of(config, wire, terms.metadata, job_id),
        options=terms.options_for(wire),
        available_at=terms.available_at,
    )


def _available_at(options: Mapping[str, Any], now: datetime) -> datetime | None:
    if "not_before" in options:
        return datetime.fromisoformat(options["not_before"])
    if options.get("delay"):
        return now + timedelta(seconds=options["delay"])
    return None


def metadata_of(owner: Owner, now: datetime, *, cron: str | None = None) -> dict[str, Any]:
    """Return an envelope's metadata; `cron` is that of a schedule, which each firing then tells."""
    metadata = {
        "userId": owner.user_id,
        "organizationId": owner.organization_id,
        "idempotencyKey": owner.idempotency_key,
        "createdAt": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "cron": cron,
    }
    return {key: value for key, value in metadata.items() if value is not None}


def body_of(
    config: JobConfig,
    wire: dict[str, Any],
    metadata: Mapping[str, Any],
    job_id: str | None = None,
) -> str:
    """Return the job of a payload as the wire has it; its secrets are sealed for its id.

    Without an id it is a schedule's. All its firings carry the same id, as a worker elsewhere may
    demand one; ours goes by the message's. Raises as `write` does.
    """
    try:
        body = jsonb.dumps(
            {
                "jobId": job_id or new_job_id(),
                "type": config.type,
                **loading.version_member(config),
                **(sealing.seal(config, wire, job_id) if config.sealed else {"payload": wire}),
                "metadata": metadata,
            }
        )
    except ValueError as error:
        raise InvalidPayload(config.type, {"payload": [str(error)]}) from error
    _check_size(config, body)
    return body


def wire_of(config: JobConfig, payload: Any) -> dict[str, Any]:
    """Do what `checked_payload` does for what is to be sent; raises as `write`."""
    try:
        return checked_payload(config, payload)
    except ValueError as error:
        raise InvalidPayload(config.type, {"payload": [str(error)]}) from error


def checked_payload(config: JobConfig, payload: Any) -> dict[str, Any]:
    """Return a payload as the wire has it, known to load at the other end.

    Raises:
        InvalidPayload: It does not fit its schema.
    """
    try:
        given = config.schema.written(payload) if is_dataclass(payload) else payload
    except ValidationError as error:
        raise InvalidPayload(config.type, error.messages_dict) from None
    if not isinstance(given, Mapping):
        raise InvalidPayload(config.type, {"payload": [f"Not an object: {type(given).__name__}."]})
    return loading.dump(config.schema, loading.load_given(config, given))


def _check_size(config: JobConfig, body: str) -> None:
    """Refuse what this app would refuse when it is delivered: nothing can help it then.

    Sealed fields are counted as they are once sealed.
    """
    size, largest = len(body.encode()), current_app.config["JOBS_MAX_BODY"]
    if size > largest:
        said = (
            f"Makes a message of {size:,} bytes, and JOBS_MAX_BODY is {largest:,}: store what is "
            "large, and enqueue where it is."
        )
        raise InvalidPayload(config.type, {"payload": [said]})


def _record(message: Message, owner: Owner, session: AnySession | None) -> Recorded:
    """Insert the job; return its id, or that of the job which had its key first, and its pause."""
    if session is not None:
        return job_rows.record(within(connection_of(session)), message, owner.columns)
    try:
        return job_rows.record(alone, message, owner.columns)
    except DatabaseUnavailable as error:
        if not error.is_uncertain:
            raise
        raise uncertain([message.job_id], error) from error


def uncertain(job_ids: Sequence[str], error: DatabaseUnavailable) -> DatabaseUnavailable:
    """Return an error that names the jobs of which nobody knows whether they are recorded."""
    named = job_ids[0] if len(job_ids) == 1 else f"{len(job_ids)} jobs from {job_ids[0]} on"
    said = f"{named} may have been recorded: {error}"
    return DatabaseUnavailable(said, is_outage=error.is_outage, is_uncertain=True, job_ids=job_ids)
