"""The activity log of an organization, for its members to read."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import exists, insert, select

from app.accounts.models import ActivityLog
from app.db import db


class Activity(StrEnum):
    """The actions that this app records; reports find them by these names."""

    ORGANIZATION_CREATED = "organization.created"
    MEMBER_JOINED = "member.joined"
    SUBSCRIPTION_CREATED = "subscription.created"
    SUBSCRIPTION_UPDATED = "subscription.updated"
    SUBSCRIPTION_CANCELED = "subscription.canceled"
    PAYMENT_FAILED = "subscription.payment_failed"


def record_activity(
    action: str,
    *,
    organization_id: int | None = None,
    user_id: int | None = None,
    details: Mapping[str, Any] | None = None,
    ip_address: str | None = None,
) -> None:
    """Record an activity in the session's transaction.

    Args:
        action: One of `Activity`, or a constant of your own such as `project.created`.
        organization_id: The organization it happened to.
        user_id: Who did it, if it was a user.
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


def has_activity(action: str, organization_id: int, details: Mapping[str, Any]) -> bool:
    """Return whether an organization's log has such an entry, with at least these details."""
    line = exists().where(
        ActivityLog.organization_id == organization_id,
        ActivityLog.action == action,
        ActivityLog.details.contains(dict(details)),
    )
    return bool(db.session.scalar(select(line)))
