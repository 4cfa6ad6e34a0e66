"""Who is who in an organization."""

from sqlalchemy import select

from app.accounts.models import Membership, User
from app.db import db


def owner_of(organization_id: int) -> User | None:
    """Return the organization's first owner, None if it has none."""
    query = (
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.organization_id == organization_id, Membership.role == "owner")
        .order_by(Membership.id)
        .limit(1)
    )
    return db.session.scalar(query)
