"""The job `send-email`: payload, schema, handler."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import fields

from app.families.email import bp, transport
from app.families.email.catalog import TEMPLATES, get_template, links
from app.families.email.fields import address, line
from app.families.email.rendering import render
from app.families.email.suppressions import suppressed
from app.families.email.template_data import TemplateData
from app.jobs import FlowControl, Job, PayloadSchema

log = logging.getLogger(__name__)

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


_KNOWN = tuple(SendEmailSchema().fields)


def resend_rate(config: Mapping[str, Any]) -> FlowControl | None:
    """Have QStash deliver no faster than Resend accepts; all emails share its limit."""
    rate = config["RESEND_RATE_PER_SECOND"]
    return FlowControl(key="resend", rate=rate, period=1) if rate else None


def adapt(payload: dict[str, Any]) -> dict[str, Any]:
    """Take another producer's email to ours: its names for what we know, and nothing else.

    Nobody is to go without an email because its producer says more than our templates use.
    """
    template = TEMPLATES.get(str(payload.get("template")))
    data = payload.get("data")
    if template is None or not isinstance(data, dict):
        return payload
    schema = template.schema
    renamed = {schema.aliases.get(name, name): value for name, value in data.items()}
    required = {str(field.data_key): field.required for field in schema.fields.values()}
    # An empty text stands for nothing in many a program; ours say nothing, or null.
    kept = {
        name: value
        for name, value in renamed.items()
        if name in required and (required[name] or value != "")
    }
    dropped = sorted({*renamed, *payload} - {*required, *_KNOWN})
    if dropped:
        about = {"template": template.name, "fields": dropped}
        log.warning("[email] Unknown fields dropped", extra=about)
    return {name: payload[name] for name in _KNOWN if name in payload} | {"data": kept}


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
    adapt=adapt,
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
