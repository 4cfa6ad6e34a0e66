"""The job `send-email`."""

import logging
from collections.abc import Mapping
from typing import Any

from app.families.email import bp, transport
from app.families.email.catalog import JOB
from app.families.email.payload import SendEmail, SendEmailSchema
from app.families.email.rendering import render
from app.families.email.suppressions import suppressed
from app.families.email.template import TEMPLATES, links
from app.jobs import FlowControl, Job

log = logging.getLogger(__name__)

#: Seconds of the job's time reserved for recording that Resend did not answer.
RESERVE = 1.0

_KNOWN = tuple(SendEmailSchema().fields)


def resend_rate(config: Mapping[str, Any]) -> FlowControl | None:
    """Have QStash deliver no faster than Resend accepts; all emails share this limit."""
    rate = config["RESEND_RATE_PER_SECOND"]
    return FlowControl(key="resend", rate=rate, period=1) if rate else None


def adapt(payload: dict[str, Any]) -> dict[str, Any]:
    """Translate another producer's email: rename known fields, drop unknown ones.

    An email must not be lost because its producer sends more than our templates use.
    """
    template = TEMPLATES.get(str(payload.get("template")))
    data = payload.get("data")
    if template is None or not isinstance(data, dict):
        return payload
    schema = template.schema
    renamed = {template.aliases.get(name, name): value for name, value in data.items()}
    required = {str(field.data_key): field.required for field in schema.fields.values()}
    # Many programs send an empty text for a missing value; ours omit it or send null.
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
    JOB,
    "/email",
    payload=SendEmailSchema,
    retries=3,
    timeout=30,
    description="Send transactional emails via Resend",
    flow_control=resend_rate,
    # The link of a password reset or an invitation gives access to the account.
    sealed=tuple(f"data.{name}" for name in links()),
    adapt=adapt,
)
def send_email(payload: SendEmail, job: Job) -> dict[str, Any]:
    """Render an email and send it once, however often it is retried: Resend keeps keys for a day.

    An address that bounced or complained gets only critical emails. The result names no recipient,
    because results are kept and shown for longer than emails.
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
