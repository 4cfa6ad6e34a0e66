"""What happened to an organization, for its people to read."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert

from app.accounts.models import ActivityLog
from app.db import db


def record_activity(
    action: str,
    *,
    organization_id: int | None = None,
    user_id: int | None = None,
    details: Mapping[str, Any] | None = None,
    ip_address: str | None = None,
) -> None:
    """Record an activity in the session's transaction, with what it tells of.

    Args:
        action: A constant such as `subscription.created`.
        organization_id: To whom it happened.
        user_id: Who did it, if it was one of us.
        details: Identifiers and figures as JSON; never secrets.
        ip_address: Where it came from.
    """
    db.session.execute(
        insert(ActivityLog).values(
            action=action,
            organization_id=organization_id,
            user_id=user_id,
            details=dict(details or {}),
            ip_address=ip_address,
        )
    )
