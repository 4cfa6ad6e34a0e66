"""Which organization a Stripe customer belongs to: the first one named, however late that arrives.

    the app itself ── before all events; then the event that was created first

`stripe_customers` keeps the first claim to each customer. An earlier claim that arrives late
replaces it, and the customer's subscriptions move along. What the app itself wrote into an
organization's columns is older than any event.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from app.accounts.models import Organization, StripeCustomer, StripeSubscription
from app.db import db

#: When the app itself gave an organization its customer: before every event.
BEFORE_EVENTS = -1


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that a customer belongs to an organization.

    Attributes:
        at: When its event was created, in Unix seconds.
        event: The event's id, which decides between events of one second.
    """

    organization_id: int
    at: int = BEFORE_EVENTS
    event: str = ""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer, as seen from an event.

    Attributes:
        subscription_id: The event's subscription.
        named: The organizations that its events name; see `subscription_facts`.
    """

    id: str
    subscription_id: str
    named: Sequence[Mapping[str, Any] | None]

    def owner(self) -> Claim | None:
        """Return the first claim to the customer."""
        return min(self._claims(), key=lambda claim: (claim.at, claim.event), default=None)

    def concerned(self) -> set[int]:
        """Return every organization that has, had or may get the customer."""
        return {claim.organization_id for claim in self._claims()} | self.holders()

    def holders(self) -> set[int]:
        """Return the organizations that show the customer or have one of its subscriptions."""
        theirs = StripeSubscription.stripe_customer_id == self.id
        found = db.session.scalars(select(StripeSubscription.organization_id).where(theirs))
        shown = _shown_by(Organization.stripe_customer_id, self.id)
        return {one for one in (*found, shown) if one is not None}

    def keep(self, claim: Claim) -> None:
        """Record whom the customer belongs to; the caller has locked the organization."""
        values = {
            "organization_id": claim.organization_id,
            "named_at": claim.at,
            "named_by": claim.event,
        }
        row = insert(StripeCustomer).values(stripe_customer_id=self.id, **values)
        key = [StripeCustomer.stripe_customer_id]
        db.session.execute(row.on_conflict_do_update(index_elements=key, set_=values))

    def _claims(self) -> Iterator[Claim]:
        """Yield all claims; of two at the same time the first wins."""
        row = db.session.get(StripeCustomer, self.id, populate_existing=True)
        kept = Claim(row.organization_id, row.named_at, row.named_by) if row else None
        shown = _shown_by(Organization.stripe_customer_id, self.id)
        if shown is not None and (kept is None or kept.organization_id != shown):
            yield Claim(shown)
        if kept:
            yield kept
        subscribed = self._subscribed()
        if subscribed is not None:
            yield Claim(subscribed)
        for named in filter(None, self.named):
            if db.session.scalar(select(exists().where(Organization.id == named["id"]))):
                yield Claim(named["id"], named["at"], named["event"])

    def _subscribed(self) -> int | None:
        """Return who had the subscription before any event named the customer's organization."""
        row = db.session.get(StripeSubscription, self.subscription_id, populate_existing=True)
        if row is None or row.organization_id is None:
            return _shown_by(Organization.stripe_subscription_id, self.subscription_id)
        return row.organization_id if row.stripe_customer_id != self.id else None


def remember(organization: Organization) -> None:
    """Record that the customer is the organization's, before its column shows another one.

    The caller has locked the organization.
    """
    if organization.stripe_customer_id is None:
        return
    row = insert(StripeCustomer).values(
        stripe_customer_id=organization.stripe_customer_id,
        organization_id=organization.id,
        named_at=BEFORE_EVENTS,
        named_by="",
    )
    db.session.execute(row.on_conflict_do_nothing())


def shown_customer(organization_id: int, preferred: str | None) -> str | None:
    """Return the customer that an organization shows: the preferred one, or its first."""
    other = aliased(Organization)
    mine, key = StripeCustomer.organization_id == organization_id, StripeCustomer.stripe_customer_id
    taken = exists().where(other.stripe_customer_id == key, other.id != organization_id)
    first = (key != func.coalesce(preferred, "")), StripeCustomer.named_at, StripeCustomer.named_by
    return db.session.scalar(select(key).where(mine, ~taken).order_by(*first, key).limit(1))


def _shown_by(column: Any, value: str) -> int | None:
    return db.session.scalar(select(Organization.id).where(column == value))
