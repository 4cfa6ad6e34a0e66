"""One Stripe event, and what it says about a subscription."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.accounts.subscription_facts import CREATED, DELETED, FETCHED, UPDATED
from app.families.stripe import shapes

_KINDS = {
    "customer.subscription.created": CREATED,
    "customer.subscription.updated": UPDATED,
    "customer.subscription.deleted": DELETED,
}


@dataclass(frozen=True, slots=True)
class Event:
    """An event with its object.

    Attributes:
        previous: The values that an update replaced.
        created: Unix seconds.
    """

    id: str
    type: str
    created: int
    thing: Mapping[str, Any]
    previous: Mapping[str, Any] | None = None
    ip_address: str | None = None

    def stamp(self, **told: Any) -> dict[str, Any]:
        return {"at": self.created, "event": self.id, **told}

    def subscription_facts(self) -> dict[str, Any]:
        """Return the event's facts about a subscription; see `app.accounts.subscription_facts`."""
        before = shapes.replaced(self.thing, self.previous)
        told = self.fact_of_state(self.thing, before=before, kind=_KINDS[self.type])
        return {**told, **self.organization_fact()}

    def told_whole(self, subscription: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event's facts, given the whole subscription as fetched from Stripe."""
        before = shapes.replaced(self.thing, self.previous)
        return self.fact_of_state(subscription, before=before, kind=_KINDS[self.type])

    def fact_of_state(
        self, subscription: Mapping[str, Any], *, before: Mapping[str, Any], kind: int = FETCHED
    ) -> dict[str, Any]:
        state = shapes.snapshot(subscription)
        facts = {"snapshots": [self.stamp(kind=kind, before=before, **state)]}
        name = shapes.product_name(subscription)
        return {**facts, **self.name_fact(state["productId"], name)} if name else facts

    def name_fact(self, product_id: str, name: str) -> dict[str, Any]:
        return {"names": {product_id: self.stamp(name=name)}}

    def organization_fact(self) -> dict[str, Any]:
        """Return the organization that the event names, if any."""
        named = shapes.organization_id(self.thing)
        return {"organization": self.stamp(id=named)} if named else {}
