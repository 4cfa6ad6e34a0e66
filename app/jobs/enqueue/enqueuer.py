"""The first half of a job's life: enqueue > validate > record > publish.

    enqueue ── validate ── record (INSERT, pending) ── commit ── publish ──▶ QStash

The second half, on the other side of QStash, is `execute.executor`; `many` does the same for many
jobs at once.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, Unpack

from flask import current_app
from marshmallow import ValidationError

from ..errors import DatabaseUnavailable, InvalidPayload, KeyReused
from ..events import Enqueueing, observed
from ..message import Message
from ..payload import loading, sealing
from ..publish import outbox, relay
from ..registry import GivenUnique, JobConfig, get_job_config
from ..table import job_rows
from ..table.after_commit import after_commit
from ..table.attempts import alone, within
from ..table.db import translate_database_errors
from ..table.job_rows import Recorded
from ..table.sessions import AnySession, callers_connection
from ..values import jsonb
from ..values.ids import GivenOwnerId, new_job_id
from ..values.options import Duration, Options
from ..values.unique import EnqueuedAs, Key, Unique, digest
from . import unique as unique_jobs
from .terms import Owner, Terms

log = logging.getLogger(__name__)


class JobId(str):  # noqa: SLOT000 - most have nothing but their class's own
    """A job's id, which also tells what the enqueue came to.

    Attributes:
        enqueued_as: "new"; or, by an idempotency key or as the job is unique, "existing": another
            job, which is as it was; "replaced": another job, which waited and does this work now;
            "follow-up": a new job, which begins when the one of its key that runs has ended.
    """

    enqueued_as: EnqueuedAs = "new"

    @property
    def existed(self) -> bool:
        """Whether the job was there before."""
        return self.enqueued_as in {"existing", "replaced"}

    @classmethod
    def of(cls, recorded: Recorded) -> "JobId":
        made = cls(recorded.job_id)
        if recorded.enqueued_as != "new":
            made.enqueued_as = recorded.enqueued_as
        return made


def enqueue(
    job_type: str,
    payload: Any,
    *,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
    idempotency_key: str | None = None,
    idempotency_ttl: Duration | None = None,
    unique: GivenUnique = None,
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
        idempotency_ttl: After this time, as `delay`, the key may be used again; without, when the
            first job is deleted.
        unique: See `Unique`: one job of its key is enough. Without, what its type declares; False
            is nothing. What the enqueue came to is the id's `enqueued_as`.
        tags: Up to 10 short names to find the job by; without, those that its type declares.
        session: Record in this session's transaction and publish when that commits. A rollback,
            also of a savepoint, leaves no trace. Without it, the job has its own transaction.
        **options: See `Options`.

    Raises:
        UnknownJobType: No such job type; the message names the nearest.
        InvalidPayload: `errors` maps fields to messages.
        InvalidOption: An option that QStash would refuse, or a `session` that is none.
        KeyReused: The idempotency key belongs to a job with another payload.
        NotUnique: A job of the same key is there, and `unique` says to raise.
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
        idempotency_ttl=idempotency_ttl,
        tags=config.tags if tags is None else tags,
    )
    with observed(Enqueueing(job_type=job_type)):
        terms = Terms.given(config, owner, options, unique)
        message = write(terms, payload)
        url = outbox.publisher().destination(config.endpoint)
        about = {"jobId": message.job_id, "type": job_type, "url": url}
        log.info("[jobs] Enqueueing job", extra=about)
        recorded = _record(message, owner, session)
        if recorded.job_id != message.job_id:
            _announce(message, recorded, session)
        elif session is not None:
            after_commit(session, outbox.publish_committed, [message])
        elif recorded.pause is not None:
            outbox.leave_paused([message])
        else:
            outbox.publish([message])
        if recorded.follows is not None:
            follow(recorded.follows, session)
    return JobId.of(recorded)


def _announce(message: Message, recorded: Recorded, session: AnySession | None) -> None:
    """Log that there is another job, and publish it if its message comes too late now."""
    about = {"jobId": recorded.job_id, "type": message.job_type}
    if recorded.enqueued_as == "replaced":
        log.info("[jobs] Job replaced", extra=about)
    else:
        log.info("[jobs] Job already exists", extra=about)
    if recorded.is_put_off:
        publish_again([recorded.job_id], session)


def publish_again(job_ids: list[str], session: AnySession | None) -> None:
    """Publish jobs from their rows, once those are committed."""
    if session is None:
        relay.publish_recorded([job_ids])
    else:
        after_commit(session, relay.publish_recorded, [job_ids])


def follow(before: str, session: AnySession | None) -> None:
    """Publish the follow-up of a job that has ended before others could see its row."""
    if session is None:
        relay.publish_followers(before)
    else:
        after_commit(session, relay.publish_all_followers, [before])


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
    is_keyed = terms.owner.idempotency_key is not None
    return Message(
        job_id=job_id,
        job_type=config.type,
        endpoint=config.endpoint,
        body=body_of(config, wire, terms.metadata, job_id),
        options=terms.options_for(wire),
        available_at=terms.available_at,
        unique=None if terms.unique is None else _key(terms, terms.unique, wire, job_id),
        fingerprint=_fingerprint(config, wire) if is_keyed else None,
    )


def _key(terms: Terms, rule: Unique, wire: dict[str, Any], job_id: str) -> Key:
    """Return what a job is unique by, and how its body is written for another that waits."""
    metadata = {**terms.metadata, "edition": job_id}
    return Key(
        rule,
        rule.key(terms.config.type, terms.owner.organization_id, wire),
        lambda other: body_of(terms.config, wire, metadata, other),
    )


def _fingerprint(config: JobConfig, wire: dict[str, Any]) -> str:
    """Return what tells a payload from others; it could be guessed from, so not by sealed fields.

    Another version of the payload has other fields, and is not compared.
    """
    return f"{config.version}:{digest(sealing.blank(config, wire))}"


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
    """Insert the job, or return the one that has its key."""
    try:
        with translate_database_errors():
            place = None if session is None else within(callers_connection(session))
            if message.unique is not None:
                return unique_jobs.record(message, message.unique, owner.columns, place)
            recorded = job_rows.record(place or alone, message, owner.columns)
    except DatabaseUnavailable as error:
        if session is not None or not error.is_uncertain:
            raise
        raise uncertain([message.job_id], error) from error
    if recorded.fingerprint is not None and _differ(recorded.fingerprint, message.fingerprint):
        raise KeyReused(message.job_type, recorded.job_id)
    return recorded


def _differ(before: str, now: str | None) -> bool:
    version, _, _ = before.partition(":")
    return now is not None and now != before and now.startswith(f"{version}:")


def uncertain(job_ids: Sequence[str], error: DatabaseUnavailable) -> DatabaseUnavailable:
    """Return an error that names the jobs of which nobody knows whether they are recorded."""
    named = job_ids[0] if len(job_ids) == 1 else f"{len(job_ids)} jobs from {job_ids[0]} on"
    said = f"{named} may have been recorded: {error}"
    return DatabaseUnavailable(said, is_outage=error.is_outage, is_uncertain=True, job_ids=job_ids)
