"""Addresses that bounced or complained: they get only critical emails."""

from collections.abc import Sequence
from contextlib import suppress

import idna
from sqlalchemy import Connection, delete, select

from app.db import db
from app.families.email.fields import comparable
from app.families.email.models import EmailSuppression
from app.families.email.template import get_template
from app.jobs.kit import in_transaction
from app.jobs.operate import audit


def suppressed(to: str, template: str) -> str | None:
    """Return why an email must not be sent, `bounced` or `complained`, or None if it may be.

    It uses a short separate transaction, so that none is open while waiting for Resend.
    """
    if get_template(template).critical:
        return None
    query = select(EmailSuppression.reason).where(EmailSuppression.address.in_(_spellings(to)))
    return in_transaction(lambda tx: tx.execute(query).scalar())


def newest(*, limit: int) -> Sequence[EmailSuppression]:
    query = select(EmailSuppression).order_by(EmailSuppression.created_at.desc()).limit(limit)
    return db.session.scalars(query).all()


def remove(address: str, *, by: str) -> bool:
    """Let an address receive all emails again; return whether it was suppressed.

    Args:
        address: In any case.
        by: Who does it, for the audit.
    """
    query = delete(EmailSuppression).where(EmailSuppression.address.in_(_spellings(address)))

    def work(tx: Connection) -> bool:
        if not tx.execute(query).rowcount:
            return False
        audit.record_action(tx, actor=by, action="suppression remove", wanted={"address": address})
        return True

    return in_transaction(work)


def _spellings(address: str) -> set[str]:
    """Return an address as it is stored, and as it was stored before domains were put in ASCII."""
    known = comparable(address)
    local, _, domain = known.rpartition("@")
    found = {known, address.lower()}
    with suppress(UnicodeError):
        found.add(f"{local}@{idna.decode(domain)}")
    return found
