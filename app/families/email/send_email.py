"""The job `send-email`: payload, schema, handler."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import fields

from app.families.email import bp, transport
from app.families.email.catalog import get_template, links
from app.families.email.fields import address, line
from app.families.email.rendering import render
from app.families.email.suppressions import suppressed
from app.families.email.template_data import TemplateData
from app.jobs import FlowControl, Job, PayloadSchema

#: Seconds of the job's time that are not spent waiting for Resend, but kept to report its silence.
RESERVE = 1.0


@dataclass(frozen=True, slots=True)
class SendEmail:
    """One email to send.

    Attributes:
        data: What the template needs, in Python's names (`reset_url`); `resetUrl` on the wire.
        subject: Instead of the template's own.
    """

    to: str
    template: str
    data: dict[str, Any]
    subject: str | None = None


class SendEmailSchema(PayloadSchema[SendEmail]):
    model = SendEmail

    to = address()
    template = fields.String(required=True, validate=get_template)
    data = TemplateData(required=True)
    subject = line(required=False)


def resend_rate(config: Mapping[str, Any]) -> FlowControl | None:
    """Have QStash deliver no faster than Resend accepts; all emails share its limit."""
    rate = config["RESEND_RATE_PER_SECOND"]
    return FlowControl(key="resend", rate=rate, period=1) if rate else None


@bp.job(
    "send-email",
    "/email",
    payload=SendEmailSchema,
    retries=3,
    timeout=30,
    description="Send transactional emails via Resend",
    flow_control=resend_rate,
    # Who has the link of a password reset or an invitation, has the account.
    sealed=tuple(f"data.{name}" for name in links()),
)
def send_email(payload: SendEmail, job: Job) -> dict[str, Any]:
    """Render an email and send it: once, over all retries of the day that Resend keeps keys.

    To an address that bounced or complained only what is critical is sent. The result names no
    recipient: results are kept and shown longer than emails are.
    """
    reason = suppressed(payload.to, payload.template)
    if reason is not None:
        return {"suppressed": reason, "template": payload.template}
    message_id = transport.send(
        render(payload.template, payload.data, subject=payload.subject),
        to=payload.to,
        idempotency_key=job.idempotency_key,
        patience=job.deadline - RESERVE,
    )
    return {"messageId": message_id, "template": payload.template}
