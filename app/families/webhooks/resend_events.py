"""Resend's delivery events: addresses that bounce or complain are suppressed.

https://resend.com/docs/webhooks/event-types
"""

from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from app.db import db
from app.families.email.fields import LONGEST_ADDRESS, comparable
from app.families.email.models import EmailSuppression
from app.families.webhooks.handlers import Webhook, on
from app.jobs import Job

#: Others, such as Transient, mean a full mailbox or an unreachable server: it may work next time.
PERMANENT = "Permanent"


@on("resend", "email.bounced")
def suppress_bounced(webhook: Webhook, _: Job) -> dict[str, Any]:
    """Suppress addresses that will never accept an email."""
    bounce = _object(_object(webhook.data).get("data")).get("bounce")
    kind = _object(bounce).get("type")
    if kind != PERMANENT:
        return {"note": f"not suppressed: the bounce is {kind or 'of no type'}, not {PERMANENT}"}
    return _suppress(webhook, "bounced", bounceType=kind, subType=_object(bounce).get("subType"))


@on("resend", "email.complained")
def suppress_complained(webhook: Webhook, _: Job) -> dict[str, Any]:
    """Suppress addresses whose owner marked an email as spam."""
    return _suppress(webhook, "complained")


def _suppress(webhook: Webhook, reason: str, **details: Any) -> dict[str, Any]:
    """Keep the first reason. The result has a count and no addresses, because results are kept."""
    email = _object(_object(webhook.data).get("data"))
    known = {"emailId": email.get("email_id"), "deliveryId": webhook.delivery_id, **details}
    rows = [
        {"address": address, "reason": reason, "details": known}
        for address in sorted(_addresses(email.get("to")))
    ]
    if not rows:
        return {"note": "not suppressed: the event names no address"}
    query = insert(EmailSuppression).values(rows).on_conflict_do_nothing()
    new = db.session.scalars(query.returning(EmailSuppression.address)).all()
    return {"suppressed": len(new), "already": len(rows) - len(new)}


def _addresses(to: Any) -> set[str]:
    given = to if isinstance(to, list) else [to]
    found = {comparable(parseaddr(one)[1]) for one in given if isinstance(one, str)}
    return {one for one in found if "@" in one and len(one) <= LONGEST_ADDRESS}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
