"""A verified request, read as a job."""

import re
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from flask import g, request
from marshmallow import ValidationError
from sqlalchemy import Connection

from ..errors import DatabaseUnavailable, DeliveryError, InvalidDelivery
from ..payload import loading
from ..publish.qstash import RETRIES_HEADER
from ..registry import JobConfig
from ..schemas import Envelope, EnvelopeSchema
from ..table import memory
from ..table.attempts import Claim
from ..table.memory import Token
from ..values import jsonb
from ..values.ids import OwnerId

QSTASH_ID = re.compile(r"[\x21-\x7e]{1,255}")
#: No plan of QStash's retries more often.
MAX_RETRIED = 1_000
MAX_DIGITS = 9

_envelopes = EnvelopeSchema()
_COUNT = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of one job.

    Attributes:
        payload: What the job type's schema loaded, for the handler.
        broken: What it raised instead, where that is a bug of its own and no verdict.
        arrived_at: On the clock of `time.monotonic`; no lease begins before.
        envelope: The JSON as it came, for the row of a job that nobody here enqueued.
        message_id: QStash's id of the message. Like `schedule_id` and `retried` it comes by a
            header, which is not signed: nothing that must not happen may hang on it alone.
        retried: How often QStash tried before.
        max_retries: How often it tries again, where that is told.
        token: What brought it, which is signed.
        is_firing: It comes from a schedule.
    """

    job_id: str
    payload: Any
    envelope: dict[str, Any]
    user_id: OwnerId | None
    organization_id: OwnerId | None
    message_id: str | None
    schedule_id: str | None
    retried: int
    max_retries: int | None
    token: Token
    is_firing: bool
    broken: BaseException | None = None
    arrived_at: float = field(default_factory=monotonic)

    def claim(self, config: JobConfig) -> Claim:
        return Claim(
            job_id=self.job_id,
            job_type=config.type,
            message_id=self.message_id,
            retried=self.retried,
            retries=config.retries,
            timeout=config.timeout,
            heartbeat=config.heartbeat,
            token=self.token,
            synchronous=config.acts_outside,
        )

    @property
    def as_firing(self) -> "Delivery | None":
        """The same as a schedule's firing, where QStash's headers say so and the envelope does not.

        Another producer's schedule may carry one job id in all its firings, and nothing else that
        is signed. The headers are not: whoever takes this has to know that no job has that id.
        """
        if self.is_firing or self.schedule_id is None or self.message_id is None:
            return None
        return replace(self, job_id=firing_id(self.message_id), is_firing=True)

    def spend(self, connection: Connection) -> bool:
        """Have the token bring this job and no other; False if it brought another before."""
        return memory.spend(connection, self.token, self.job_id)

    def row(self, config: JobConfig) -> dict[str, Any]:
        """Return the row of a job that is first seen now.

        Its idempotency key stays in the envelope: whoever published it answers for that. How often
        QStash tries again is known only if the publisher has told.
        """
        return {
            "job_id": self.job_id,
            "job_type": config.type,
            "payload": {**self.envelope, "jobId": self.job_id},
            "user_id": self.user_id,
            "organization_id": self.organization_id,
            "message_id": self.message_id,
            "schedule_id": self.schedule_id,
            "max_retries": self.max_retries,
        }


def parse(config: JobConfig) -> Delivery:
    """Read the current request.

    Raises:
        InvalidDelivery: It can never be executed: it is not JSON, no envelope, not of this type,
            or its payload cannot be opened or does not fit the schema.
        NewerPayload: Only newer code understands it.
    """
    raw = _json(request.get_data())
    try:
        envelope = _envelopes.load(raw)
    except ValidationError as error:
        raise InvalidDelivery("the envelope is broken", error.messages_dict) from error
    job_id = _job_id(envelope)
    if envelope.type != config.type:
        message = f"this endpoint takes jobs of type {config.type!r}, not {envelope.type!r}"
        raise InvalidDelivery(message, job_id=job_id)
    payload, broken = _payload(config, envelope, job_id)
    return Delivery(
        job_id=job_id,
        payload=payload,
        broken=broken,
        envelope=raw,
        user_id=envelope.metadata.user_id,
        organization_id=envelope.metadata.organization_id,
        message_id=_id("Upstash-Message-Id"),
        schedule_id=_id("Upstash-Schedule-Id"),
        retried=retried(),
        max_retries=_count(RETRIES_HEADER),
        token=g.jobs_token,
        is_firing=envelope.is_firing,
    )


def _payload(
    config: JobConfig, envelope: Envelope, job_id: str
) -> tuple[Any, BaseException | None]:
    """Load the payload; a bug in a validator is kept, to fail the attempt as a handler's would."""
    try:
        return loading.read(config, envelope, job_id), None
    except (DeliveryError, DatabaseUnavailable):
        raise
    except BaseException as error:  # noqa: BLE001 - a validator may raise anything
        return None, error


def retried() -> int:
    """Return how often QStash tried to deliver the current request before."""
    header = request.headers.get("Upstash-Retried", "")
    if not (header.isascii() and header.isdigit()):
        return 0
    return min(int(header[:MAX_DIGITS]), MAX_RETRIED)


def firing_id(message_id: str) -> str:
    """Return the job id of one firing of a schedule, whose envelope has none."""
    return str(uuid5(NAMESPACE_URL, f"qstash:{message_id}"))


def _count(header: str) -> int | None:
    value = request.headers.get(header, "")
    return int(value) if _COUNT.fullmatch(value) else None


def _json(body: bytes) -> dict[str, Any]:
    try:
        raw = jsonb.loads(body.decode())
        jsonb.dumps(raw)
    except ValueError as error:
        raise InvalidDelivery(f"the body is not JSON in UTF-8: {error}") from error
    if not isinstance(raw, dict):
        raise InvalidDelivery("the body is not a JSON object")
    return raw


def _job_id(envelope: Envelope) -> str:
    """Return the job's id; each firing of a schedule has its own, the same over its retries.

    Whether it is a firing, the envelope says, which is signed: no header makes a job another.
    """
    message_id = _id("Upstash-Message-Id")
    if envelope.is_firing and _id("Upstash-Schedule-Id") and message_id:
        return firing_id(message_id)
    if envelope.job_id is None:
        raise InvalidDelivery(
            "the envelope is broken", {"jobId": ["Missing data for required field."]}
        )
    return envelope.job_id


def _id(header: str) -> str | None:
    """Return one of QStash's ids; anything else in its place counts as none."""
    value = request.headers.get(header, "")
    return value if QSTASH_ID.fullmatch(value) else None
