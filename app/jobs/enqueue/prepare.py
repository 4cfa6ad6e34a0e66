"""Validate: what a caller asks for, checked and written out, before anything is recorded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from flask import current_app

from .. import request_id
from ..errors import InvalidOption, InvalidPayload
from ..events import Written, tell
from ..payload import loading, sealing
from ..publish.qstash import Message
from ..registry import JobConfig
from ..values import jsonb
from ..values.ids import OwnerId, check_owner_id
from ..values.options import available_at

MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a job's metadata says beside its time."""

    user_id: OwnerId | None = None
    organization_id: OwnerId | None = None
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
    """A job that is good to be recorded, and the message that will carry it."""

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


def draft(config: JobConfig, payload: Any, owner: Owner, options: Mapping[str, Any]) -> Draft:
    """Validate a payload and write out its job.

    Args:
        config: The job's type.
        payload: Camel-case JSON as a mapping, or the payload's dataclass.
        owner: Whom it is for.
        options: As `options.normalise` returns them.

    Raises:
        InvalidPayload: `errors` maps fields to messages; also for one that is too large.
    """
    job_id = str(uuid4())
    written = {"jobId": job_id, **envelope(config, payload, owner, job_id)}
    # Kept with the options, so that a later publish of the same job carries the same ones.
    headers = {request_id.HEADER: request_id.current_request_id()}
    tell(Written(headers))
    message = Message(
        job_id=job_id,
        job_type=config.type,
        endpoint=config.endpoint,
        body=jsonb.dumps(written),
        options={**options, "headers": headers | options.get("headers", {})},
        available_at=available_at(options),
    )
    check_size(config, message.body)
    return Draft(message, owner, written)


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
    sealed = sealing.seal(config, _validated(config, payload), job_id)
    named = {"jobId": str(uuid4())} if job_id is None else {}
    return {
        **named,
        "type": config.type,
        **loading.version_member(config),
        **sealed,
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
