"""From what events tell to what an organization has: facts kept, joined and projected.

Facts are kept by subscription, whether or not it is known whose it is; they reach the organization
once its customer is known. An organization shows one subscription, the first by
`State.precedence`: so an event about an old one does not disturb a newer one.

Jobs about one customer take their turns, and so do those about one organization. Everybody locks
the customer first and the organization second, so nobody waits in a circle.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.accounts.facts import ADOPTED, Facts, State, join, state_of
from app.accounts.models import Organization, StripeSubscription
from app.db import db


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording facts.

    Attributes:
        state: Of the subscription that the facts are about.
        organization: Whose it is, None where that is not known yet.
        changes: The organization's columns that now have another value: their old and new ones.
    """

    state: State
    organization: Organization | None = None
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def known_facts(subscription_id: str) -> dict[str, Any]:
    """Return what is known of a subscription."""
    key = StripeSubscription.stripe_subscription_id
    facts = db.session.scalar(select(StripeSubscription.facts).where(key == subscription_id))
    return facts or {}


def organization_of(subscription_id: str, customer_id: str, facts: Facts) -> int | None:
    """Return whose a subscription is.

    It stays whose it was. Otherwise a customer belongs to the organization that has its id, and an
    unknown one to the organization that the facts name, as a checkout does.
    """
    named = facts.get("organization", {}).get("id")
    ids = Organization.id
    for query in (
        select(StripeSubscription.organization_id).where(
            StripeSubscription.stripe_subscription_id == subscription_id
        ),
        select(ids).where(Organization.stripe_customer_id == customer_id),
        _of_its_other_subscriptions(customer_id),
        select(ids).where(Organization.stripe_subscription_id == subscription_id),
        select(ids).where(ids == named) if named else None,
    ):
        if query is not None and (found := db.session.scalar(query)):
            return found
    return None


def _of_its_other_subscriptions(customer_id: str) -> Select[int | None]:
    """Look for whom a customer has subscribed: an organization may have had several customers."""
    theirs = StripeSubscription.stripe_customer_id == customer_id
    owned = StripeSubscription.organization_id.is_not(None)
    first = StripeSubscription.created_at, StripeSubscription.stripe_subscription_id
    return select(StripeSubscription.organization_id).where(theirs, owned).order_by(*first).limit(1)


def record_facts(subscription_id: str, customer_id: str, told: Facts) -> Recorded:
    """Join what was told to what is known, and project it, in the session's transaction.

    Args:
        subscription_id: The subscription that it is about.
        customer_id: Who pays for it.
        told: See `facts`.
    """
    _take_turns(customer_id)
    facts: Facts = join(known_facts(subscription_id), told)
    owner = organization_of(subscription_id, customer_id, facts)
    organization = _lock(owner) if owner else None
    if organization:
        facts = _adopt(organization, subscription_id, facts)
    _keep(subscription_id, customer_id, facts)
    if organization is None:
        return Recorded(state_of(facts))
    _claim_customer(customer_id, organization.id)
    return Recorded(state_of(facts), organization, _project(organization))


def _take_turns(customer_id: str) -> None:
    """Wait for other transactions about this customer: its rows may not exist yet."""
    key = func.hashtextextended(f"stripe customer {customer_id}", 0)
    db.session.execute(select(func.pg_advisory_xact_lock(key)))


def _lock(organization_id: int) -> Organization | None:
    query = select(Organization).where(Organization.id == organization_id).with_for_update()
    return db.session.scalar(query, execution_options={"populate_existing": True})


def _adopt(organization: Organization, subscription_id: str, facts: Facts) -> Facts:
    """Make facts of a subscription that the organization had before any event told of it."""
    present = organization.stripe_subscription_id
    if present is None or known_facts(present):
        return facts
    adopted = {"snapshots": [_as_snapshot(organization)]}
    if present == subscription_id:
        return join(facts, adopted)
    _keep(present, organization.stripe_customer_id, adopted)
    _belongs_to(organization.id, StripeSubscription.stripe_subscription_id == present)
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


def _claim_customer(customer_id: str, organization_id: int) -> None:
    """Give the organization all of its customer's subscriptions that nobody has."""
    _belongs_to(organization_id, StripeSubscription.stripe_customer_id == customer_id)


def _belongs_to(organization_id: int, which: Any) -> None:
    nobodys = StripeSubscription.organization_id.is_(None)
    change = update(StripeSubscription).where(which, nobodys)
    db.session.execute(change.values(organization_id=organization_id))


def _project(organization: Organization) -> dict[str, tuple[Any, Any]]:
    """Have the organization show the first of its subscriptions; return what that changed."""
    mine = StripeSubscription.organization_id == organization.id
    rows = db.session.scalars(
        select(StripeSubscription).where(mine), execution_options={"populate_existing": True}
    )
    states = {row.stripe_subscription_id: (state_of(row.facts), row) for row in rows}
    shown = max(states, key=lambda name: (states[name][0].precedence, name))
    state, row = states[shown]
    wanted = {"stripe_subscription_id": shown, **_columns(state)}
    if row.stripe_customer_id and _is_free(row.stripe_customer_id):
        wanted["stripe_customer_id"] = row.stripe_customer_id
    return _change(organization, wanted)


def _is_free(customer_id: str) -> bool:
    taken = exists().where(Organization.stripe_customer_id == customer_id)
    return not db.session.scalar(select(taken))


def _columns(state: State) -> dict[str, Any]:
    return {
        "stripe_product_id": state.product_id,
        "plan_name": state.plan_name,
        "subscription_status": state.status,
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
