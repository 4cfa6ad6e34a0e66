"""People, their organizations, and what an organization pays for."""

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, db

ROLES = ("owner", "admin", "member")

_TIMESTAMP = DateTime(timezone=True)
_ONE_ROLE = f"role in {ROLES}"


class User(Base):
    """A person with an account; `email` is kept in lower case."""

    __tablename__ = "users"
    __table_args__ = (Index("idx_users_created_at", "created_at"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())


class Organization(Base):
    """Who pays. Its subscription columns are a projection of `StripeSubscription`.

    Attributes:
        subscription_status: Stripe's status: active, trialing, past_due, canceled, …
        monthly_amount: Recurring revenue per month, in the currency's smallest unit.
        currency: ISO 4217, in lower case as Stripe writes it.
        subscribed_at, unsubscribed_at: When the current subscription started and ended.
    """

    __tablename__ = "organizations"
    __table_args__ = (Index("idx_organizations_created_at", "created_at"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    stripe_customer_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    stripe_subscription_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    stripe_product_id: Mapped[str | None] = mapped_column(String(255))
    plan_name: Mapped[str | None] = mapped_column(String(200))
    subscription_status: Mapped[str | None] = mapped_column(String(30))
    monthly_amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(String(3))
    subscribed_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    unsubscribed_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    current_period_end: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    cancel_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())


class Membership(Base):
    """A person's role in an organization."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("organization_id", "user_id"),
        CheckConstraint(_ONE_ROLE, name="role"),
        Index("idx_memberships_user_id", "user_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(20), server_default="member")
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())


class ActivityLog(Base):
    """Something that happened to an organization.

    Attributes:
        action: A constant such as `subscription.created`.
        details: Identifiers and figures; never secrets.
    """

    __tablename__ = "activity_logs"
    __table_args__ = (
        Index("idx_activity_logs_created_at", "created_at"),
        Index("idx_activity_logs_organization_created", "organization_id", "created_at"),
        Index("idx_activity_logs_user_id", "user_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organization_id: Mapped[int | None] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    action: Mapped[str] = mapped_column(String(100))
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    ip_address: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())


class StripeSubscription(Base):
    """What Stripe's events say about one subscription, whether its customer is known or not.

    Attributes:
        organization_id: Its organization, once known; an organization may have had several.
        facts: The newest of each kind; see `app.accounts.subscription_facts`.
    """

    __tablename__ = "stripe_subscriptions"
    __table_args__ = (
        Index("idx_stripe_subscriptions_customer_id", "stripe_customer_id"),
        Index("idx_stripe_subscriptions_organization_id", "organization_id"),
    )

    stripe_subscription_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    organization_id: Mapped[int | None] = mapped_column(
        ForeignKey("organizations.id", ondelete="SET NULL")
    )
    stripe_customer_id: Mapped[str | None] = mapped_column(String(255))
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())


class StripeCustomer(Base):
    """The organization of a Stripe customer; an organization may have several customers.

    Attributes:
        named_at: When the event that says so was created, in Unix seconds; -1 for what the app
            itself wrote. An earlier event takes the customer over, a later one does not.
        named_by: That event's id.
    """

    __tablename__ = "stripe_customers"
    __table_args__ = (Index("idx_stripe_customers_organization_id", "organization_id"),)

    stripe_customer_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    named_at: Mapped[int] = mapped_column(BigInteger)
    named_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())


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
