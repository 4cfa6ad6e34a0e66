"""The guide's new job type, `send-sms`: steps 1 to 5 of its "Creating New Job Types"."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from marshmallow import fields, validate

from app.jobs import JOB_TYPES, Job, JobBlueprint, JobId, PayloadSchema, enqueue

log = logging.getLogger(__name__)

bp = JobBlueprint("sms", __name__)

#: What the provider was given.
OUTBOX: list[tuple[str, str]] = []


@dataclass(frozen=True, slots=True)
class SendSms:
    to: str
    message: str
    metadata: dict[str, Any] | None = None


class SendSmsSchema(PayloadSchema[SendSms]):
    model = SendSms

    to = fields.String(required=True, validate=validate.Regexp(r"^\+[1-9]\d{1,14}$"))
    message = fields.String(required=True, validate=validate.Length(max=160))
    metadata = fields.Dict(keys=fields.String())


@bp.job(
    "send-sms",
    "/sms",
    payload=SendSmsSchema,
    retries=3,
    timeout=30,
    description="Send SMS notifications via Twilio",
)
def send_sms(payload: SendSms, job: Job) -> None:
    log.info("[jobs] Processing SMS job", extra={"jobId": job.id, "to": payload.to})
    if payload.message == "fail":
        raise ConnectionError("the provider is away")
    while payload.message == "slow":
        time.sleep(0.01)
    OUTBOX.append((payload.to, payload.message))
    log.info("[jobs] SMS sent successfully", extra={"jobId": job.id, "to": payload.to})


def enqueue_sms_job(
    payload: dict[str, Any], *, user_id: int | None = None, organization_id: int | None = None
) -> JobId:
    return enqueue(
        JOB_TYPES.SEND_SMS,
        payload,
        user_id=user_id,
        organization_id=organization_id,
        retries=3,
        delay=0,
    )
