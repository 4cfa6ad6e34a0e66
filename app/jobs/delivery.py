"""A verified request, read as a job."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from flask import request
from marshmallow import ValidationError

from app.jobs import jsonb, payloads
from app.jobs.errors import InvalidDelivery
from app.jobs.ids import OwnerId
from app.jobs.leases import Claim
from app.jobs.publisher import RETRIES_HEADER
from app.jobs.registry import JobConfig
from app.jobs.schemas import Envelope, EnvelopeSchema

_envelopes = EnvelopeSchema()
_COUNT = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of one job.

    Attributes:
        payload: What the job type's schema loaded, for the handler.
        envelope: The JSON as it came, for the row of a job that nobody here enqueued.
        retried: How often QStash tried before.
        max_retries: How often it tries again, where that is told.
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

    def claim(self, config: JobConfig) -> Claim:
        return Claim(
            job_id=self.job_id,
            job_type=config.type,
            message_id=self.message_id,
            retried=self.retried,
            retries=config.retries,
            timeout=config.timeout,
            heartbeat=config.heartbeat,
        )

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
    return Delivery(
        job_id=job_id,
        payload=payloads.read(config, envelope, job_id),
        envelope=raw,
        user_id=envelope.metadata.user_id,
        organization_id=envelope.metadata.organization_id,
        message_id=request.headers.get("Upstash-Message-Id"),
        schedule_id=request.headers.get("Upstash-Schedule-Id"),
        retried=retried(),
        max_retries=_count(RETRIES_HEADER),
    )


def retried() -> int:
    """Return how often QStash tried to deliver the current request before."""
    return _count("Upstash-Retried") or 0


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
    """Return the job's id; each firing of a schedule has its own, the same over its retries."""
    if "Upstash-Schedule-Id" in request.headers:
        return firing_id(request.headers.get("Upstash-Message-Id", ""))
    if envelope.job_id is None:
        raise InvalidDelivery(
            "the envelope is broken", {"jobId": ["Missing data for required field."]}
        )
    return envelope.job_id
