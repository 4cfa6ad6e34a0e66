"""From events to an organization's columns: facts are stored, joined and projected.

Facts are stored by subscription, even if its organization is unknown; they reach the organization
once its customer is known. An organization shows one subscription, the first by
`State.precedence`, so an event about an old one does not disturb a newer one.

Jobs about one customer take turns, and so do those about one organization. All lock the customer
first and then the organizations in the order of their ids, so they cannot deadlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.accounts.customers import Claim, Customer, remember, shown_customer
from app.accounts.models import Organization, StripeSubscription
from app.accounts.subscription_facts import ADOPTED, Facts, State, join, state_of
from app.db import db


@dataclass(frozen=True, slots=True)
class Recorded:
    """The result of recording facts.

    Attributes:
        state: The subscription's state.
        organization: Its organization, None if not known yet.
        changes: The organization's columns that changed, with old and new values.
        former: Organizations that had the customer until now.
    """

    state: State
    organization: Organization | None = None
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    former: Sequence[int] = ()


def known_facts(subscription_id: str) -> dict[str, Any]:
    """Return the known facts about a subscription."""
    key = StripeSubscription.stripe_subscription_id
    facts = db.session.scalar(select(StripeSubscription.facts).where(key == subscription_id))
    return facts or {}


def organization_of(subscription_id: str, customer_id: str, facts: Facts) -> int | None:
    """Return a subscription's organization, which is its customer's; see `customers`."""
    claim = Customer(customer_id, subscription_id, named=[facts.get("organization")]).owner()
    return claim.organization_id if claim else None


def record_facts(subscription_id: str, customer_id: str, told: Facts) -> Recorded:
    """Join new facts to the known ones, and project them, in the session's transaction.

    Args:
        subscription_id: The subscription.
        customer_id: Who pays for it.
        told: The new facts; see `subscription_facts`.
    """
    _take_turns(customer_id)
    facts: Facts = join(known_facts(subscription_id), told)
    named = [told.get("organization"), facts.get("organization")]
    customer = Customer(customer_id, subscription_id, named)
    organizations = _lock(customer.concerned())
    claim = customer.owner()
    organization = organizations.get(claim.organization_id) if claim else None
    if organization:
        facts = _adopt(organization, subscription_id, facts)
    _keep(subscription_id, customer_id, facts)
    if claim is None or organization is None:
        return Recorded(state_of(facts))
    former = customer.holders() - {organization.id}
    _give(customer, claim)
    for one in sorted(former & organizations.keys()):
        _project(organizations[one])
    return Recorded(state_of(facts), organization, _project(organization), sorted(former))


def _take_turns(customer_id: str) -> None:
    """Wait for other transactions about this customer, whose rows may not exist yet."""
    key = func.hashtextextended(f"stripe customer {customer_id}", 0)
    db.session.execute(select(func.pg_advisory_xact_lock(key)))


def _lock(ids: set[int]) -> dict[int, Organization]:
    """Lock organizations in one order, and remember what the app gave them."""
    query = select(Organization).where(Organization.id.in_(ids)).order_by(Organization.id)
    fresh = {"populate_existing": True}
    found = db.session.scalars(query.with_for_update(), execution_options=fresh).all()
    for organization in found:
        remember(organization)
    return {organization.id: organization for organization in found}


def _adopt(organization: Organization, subscription_id: str, facts: Facts) -> Facts:
    """Make facts for a subscription that the organization had before any event."""
    present = organization.stripe_subscription_id
    if present is None or known_facts(present):
        return facts
    adopted = {"snapshots": [_as_snapshot(organization)]}
    if present == subscription_id:
        return join(facts, adopted)
    _keep(present, organization.stripe_customer_id, adopted)
    its = StripeSubscription.stripe_subscription_id == present
    _set_organization(organization.id, its)
    return facts


def _as_snapshot(organization: Organization) -> dict[str, Any]:
    return {
        "at": -1,
        "event": "",
        "kind": ADOPTED,
        "before": {},
        "status": organization.subscription_status or "active",
        "started": _seconds(organization.subscribed_at),
        "ended": _seconds(organization.unsubscribed_at),
        "periodEnd": _seconds(organization.current_period_end),
        "cancelAt": _seconds(organization.cancel_at),
        "productId": organization.stripe_product_id,
        "label": organization.plan_name,
        "monthlyAmount": organization.monthly_amount,
        "currency": organization.currency,
    }


def _keep(subscription_id: str, customer_id: str | None, facts: Facts) -> None:
    values = {"stripe_customer_id": customer_id, "facts": dict(facts)}
    row = insert(StripeSubscription).values(stripe_subscription_id=subscription_id, **values)
    db.session.execute(
        row.on_conflict_do_update(
            index_elements=[StripeSubscription.stripe_subscription_id],
            set_={**values, "updated_at": func.now()},
        )
    )


def _give(customer: Customer, claim: Claim) -> None:
    """Give the organization its customer and all of the customer's subscriptions."""
    customer.keep(claim)
    _set_organization(claim.organization_id, StripeSubscription.stripe_customer_id == customer.id)


def _set_organization(organization_id: int, which: Any) -> None:
    others = StripeSubscription.organization_id.is_distinct_from(organization_id)
    change = update(StripeSubscription).where(which, others)
    db.session.execute(change.values(organization_id=organization_id))


def _project(organization: Organization) -> dict[str, tuple[Any, Any]]:
    """Make the organization show the first of its subscriptions; return what that changed."""
    mine = StripeSubscription.organization_id == organization.id
    rows = db.session.scalars(
        select(StripeSubscription).where(mine), execution_options={"populate_existing": True}
    )
    states = {row.stripe_subscription_id: (state_of(row.facts), row) for row in rows}
    shown = max(states, key=lambda name: (states[name][0].precedence, name), default=None)
    state, row = states[shown] if shown else (None, None)
    customer_id = shown_customer(organization.id, row.stripe_customer_id if row else None)
    ids = {"stripe_subscription_id": shown, "stripe_customer_id": customer_id}
    return _change(organization, {**ids, **_columns(state)})


def _columns(state: State | None) -> dict[str, Any]:
    """Return the column values for a subscription's state; empty ones without a state."""
    state = state or State(status="")
    return {
        "stripe_product_id": state.product_id,
        "plan_name": state.plan_name,
        "subscription_status": state.status or None,
        "monthly_amount": state.monthly_amount,
        "currency": state.currency,
        "subscribed_at": _time(state.started or None),
        "unsubscribed_at": _time(state.ended),
        "current_period_end": _time(state.period_end),
        "cancel_at": _time(state.cancel_at),
    }


def _change(organization: Organization, wanted: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    changes = {}
    for column, new in wanted.items():
        old = getattr(organization, column)
        if old != new:
            setattr(organization, column, new)
            changes[column] = (old, new)
    if changes:
        organization.updated_at = func.now()
        db.session.flush()
    return changes


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _seconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp())
