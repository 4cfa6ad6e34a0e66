"""The first half of a job's way: enqueue > validate > record > publish.

    enqueue ── validate ── record (INSERT, pending) ── commit ── publish ──▶ QStash

The second half, on the other side of QStash, is `worker`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from typing import Any, Unpack
from uuid import uuid4

from flask import current_app
from marshmallow import ValidationError

from app.jobs import cron as crons
from app.jobs import executions, jsonb, request_id
from app.jobs.errors import InvalidOption, InvalidPayload, PublishRefused, PublishUnavailable
from app.jobs.options import Options, available_at, normalise
from app.jobs.publisher import Message, Publisher
from app.jobs.registry import JobConfig, get_job_config
from app.jobs.transactions import in_transaction

log = logging.getLogger(__name__)

MAX_KEY_LENGTH = 255
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a job's metadata says beside its time."""

    user_id: int | None = None
    organization_id: int | None = None
    idempotency_key: str | None = None


def enqueue(
    job_type: str,
    payload: Any,
    *,
    user_id: int | None = None,
    organization_id: int | None = None,
    idempotency_key: str | None = None,
    **options: Unpack[Options],
) -> str:
    """Validate, record and publish a job; return its id.

    1. Validate: nothing is recorded unless payload and options are good.
    2. Record: one INSERT, committed before anything is published.
    3. Publish: if QStash cannot be reached, the job stays pending and the id is returned all the
       same. Nothing accepted is lost.

    Args:
        job_type: A registered name such as "send-email".
        payload: Camel-case JSON as a mapping, or the payload's dataclass.
        user_id: Whom the job is for.
        organization_id: Likewise; also the scope of `idempotency_key`.
        idempotency_key: With a key that this type and organization already used, nothing happens
            and the first job's id is returned.
        **options: See `Options`.

    Raises:
        UnknownJobType: No such job type; the message names the nearest.
        InvalidPayload: `errors` maps fields to messages.
        InvalidOption: An option that QStash would refuse.
        DatabaseUnavailable: Nothing was recorded.
        PublishRefused: QStash will never take it (a bad token, say); the job is failed and dead.
    """
    config = get_job_config(job_type)
    owner = _owner(user_id, organization_id, idempotency_key)
    wire = _validate(config, payload)
    message = _message(config, wire, owner, normalise(config, options))
    log.info("[jobs] Enqueueing job", extra={"jobId": message.job_id, "type": job_type})
    job_id = _record(config, message, owner)
    if job_id == message.job_id:
        publish(config, message)
    else:
        log.info("[jobs] Job exists already", extra={"jobId": job_id, "type": job_type})
    return job_id


def schedule(
    job_type: str,
    cron: str,
    payload: Any,
    *,
    schedule_id: str | None = None,
    timezone: str | None = None,
    user_id: int | None = None,
    organization_id: int | None = None,
    **options: Unpack[Options],
) -> str:
    """Have QStash enqueue a job again and again; return the schedule's id.

    Each firing is a job of its own, recorded when it is delivered.

    Args:
        job_type: A registered name.
        cron: Five fields; see `timezone`.
        payload: As for `enqueue`; the same at every firing.
        schedule_id: Replaces the schedule of this id, if there is one.
        timezone: An IANA name such as "Europe/Berlin"; UTC where None.
        user_id: As for `enqueue`.
        organization_id: As for `enqueue`.
        **options: See `Options`; a schedule takes no `not_before`.

    Raises:
        UnknownJobType, InvalidPayload, InvalidOption: As for `enqueue`.
        PublishRefused, PublishUnavailable: There is no such schedule now.
    """
    config = get_job_config(job_type)
    wire = _validate(config, payload)
    if "not_before" in options:
        raise InvalidOption("not_before: a schedule's cron says when; leave it out")
    envelope = _envelope(config, wire, _owner(user_id, organization_id, None))
    scheduled = publisher().schedule(
        config.endpoint,
        crons.checked(cron, timezone),
        jsonb.dumps(envelope),
        normalise(config, options),
        schedule_id=schedule_id,
    )
    log.info("[jobs] Job scheduled", extra={"scheduleId": scheduled, "type": job_type})
    return scheduled


def publish(config: JobConfig, message: Message) -> bool:
    """Hand a recorded job to QStash and note its message id.

    Returns:
        False if QStash cannot be reached at the moment: the row stays pending.

    Raises:
        PublishRefused: The job is failed and dead.
    """
    about: dict[str, Any] = {
        "jobId": message.job_id,
        "type": config.type,
        "url": publisher().destination(message.endpoint),
    }
    try:
        message_id = publisher().publish(message)
    except PublishUnavailable as error:
        log.warning("[jobs] Job not published yet", extra={**about, "error": str(error)})
        return False
    except PublishRefused as refusal:
        reason = str(refusal)
        in_transaction(lambda tx: executions.mark_dead(tx, message.job_id, reason))
        log.error("[jobs] Job refused by QStash", extra={**about, "error": reason})  # noqa: TRY400 - the message says it all
        raise
    in_transaction(lambda tx: executions.note_published(tx, message, message_id))
    log.info("[jobs] Job enqueued successfully", extra={**about, "messageId": message_id})
    return True


def publisher() -> Publisher:
    found: Publisher = current_app.extensions["jobs"].publisher
    return found


def _validate(config: JobConfig, payload: Any) -> dict[str, Any]:
    """Return the payload as the wire has it, known to load at the other end."""
    given = config.schema.dump(payload) if is_dataclass(payload) else payload
    if not isinstance(given, Mapping):
        raise InvalidPayload(config.type, {"payload": [f"Not an object: {type(given).__name__}."]})
    try:
        wire: dict[str, Any] = config.schema.dump(config.schema.load(given))
        jsonb.dumps(wire)
    except ValidationError as error:
        raise InvalidPayload(config.type, error.messages_dict) from error
    except ValueError as error:
        raise InvalidPayload(config.type, {"payload": [str(error)]}) from error
    return wire


def _owner(user_id: Any, organization_id: Any, idempotency_key: Any) -> Owner:
    for name, value in (("user_id", user_id), ("organization_id", organization_id)):
        if value is not None and (type(value) is not int or abs(value) > MAX_ID):
            raise InvalidOption(f"{name}: {value!r} is not a whole number of 64 bits")
    if idempotency_key is not None and not (
        isinstance(idempotency_key, str) and 0 < len(idempotency_key) <= MAX_KEY_LENGTH
    ):
        raise InvalidOption(f"idempotency_key: not a text of 1 to {MAX_KEY_LENGTH} characters")
    return Owner(user_id=user_id, organization_id=organization_id, idempotency_key=idempotency_key)


def _message(
    config: JobConfig, wire: dict[str, Any], owner: Owner, options: dict[str, Any]
) -> Message:
    job_id = str(uuid4())
    # Kept with the options, so that a later publish of the same job carries the same id.
    headers = {request_id.HEADER: request_id.current_request_id(), **options.get("headers", {})}
    return Message(
        job_id=job_id,
        endpoint=config.endpoint,
        body=jsonb.dumps({"jobId": job_id, **_envelope(config, wire, owner)}),
        options={**options, "headers": headers},
        available_at=available_at(options),
    )


def _envelope(config: JobConfig, wire: dict[str, Any], owner: Owner) -> dict[str, Any]:
    metadata = {
        "userId": owner.user_id,
        "organizationId": owner.organization_id,
        "idempotencyKey": owner.idempotency_key,
        "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    known = {key: value for key, value in metadata.items() if value is not None}
    return {"type": config.type, "payload": wire, "metadata": known}


def _record(config: JobConfig, message: Message, owner: Owner) -> str:
    """Commit the job; from here on it is not lost."""
    values = {
        "job_id": message.job_id,
        "job_type": config.type,
        "payload": jsonb.loads(message.body),
        "user_id": owner.user_id,
        "organization_id": owner.organization_id,
        "idempotency_key": owner.idempotency_key,
        "queue": message.options.get("queue"),
        "max_retries": message.options["retries"],
        "options": message.options,
        "available_at": message.available_at,
    }
    return in_transaction(lambda connection: executions.create_job_execution(connection, values))
