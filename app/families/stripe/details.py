"""Fetch from Stripe what an effect needs and its event lacks, before anything is locked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.accounts.subscription_facts import join, newest_snapshot
from app.accounts.subscriptions import known_facts, organization_of
from app.families.stripe import shapes
from app.families.stripe.api import Stripe
from app.families.stripe.event import Event
from app.families.stripe.reading import optional

Facts = Mapping[str, Any]


def names_the_same(told: Facts, whole: Facts) -> bool:
    """Return whether Stripe still has what an event described: discounts, items and prices."""
    items, all_items = told["items"]["data"], whole["items"]["data"]
    count = optional(told, "items.total_count", int) or len(items)
    is_part = optional(told, "items.has_more", bool) or len(all_items) == count
    same = {_named(item) for item in items} <= {_named(item) for item in all_items}
    return bool(is_part) and same and _discounts(told) == _discounts(whole)


def _named(item: Facts) -> tuple[Any, ...]:
    price = item.get("price") or item.get("plan") or {}
    return item.get("id"), price.get("id"), item.get("quantity"), *_discounts(item)


def _discounts(thing: Facts) -> list[str | None]:
    given = optional(thing, "discounts", list) or []
    return [one.get("id") if isinstance(one, Mapping) else one for one in given]


@dataclass(frozen=True, slots=True)
class Missing:
    """What one event lacks; fetches nothing without a key, or about an unknown customer.

    All methods raise what `Stripe` raises.
    """

    event: Event
    stripe: Stripe
    subscription_id: str

    @property
    def customer_id(self) -> str:
        return shapes.customer_id(self.event.thing)

    def facts(self, told: Facts) -> Facts:
        """Return the state, if none is known, and the product's name."""
        facts: Facts = join(known_facts(self.subscription_id), told)
        if not self._may_ask(facts):
            return {}
        asked: Facts = {}
        if not newest_snapshot(facts):
            if found := self.stripe.subscription(self.subscription_id):
                asked = self.event.fact_of_state(self._with_items(found), before={})
        elif newest_snapshot(told).get("amountUnknown") and (whole := self._whole()):
            asked = self.event.told_whole(whole)
        return join(asked, self._name(join(facts, asked)))

    def _whole(self) -> Facts | None:
        """Return the event's subscription with what it only refers to, unless it changed since."""
        told = self.event.thing
        found = self.stripe.subscription(self.subscription_id)
        if found is None:
            return None
        items = self.stripe.items(self.subscription_id)
        whole = {**told, "discounts": found.get("discounts"), "items": {"data": items}}
        return whole if names_the_same(told, whole) else None

    def _with_items(self, found: dict[str, Any]) -> dict[str, Any]:
        if shapes.snapshot(found)["amountUnknown"] is None:
            return found
        return {**found, "items": {"data": self.stripe.items(self.subscription_id)}}

    def person(self, told: shapes.Person, facts: Facts) -> shapes.Person:
        """Return who pays, with an email address if Stripe has one."""
        if told.email or not self._may_ask(facts):
            return told
        customer = self.stripe.customer(self.customer_id) or {}
        return shapes.Person(customer.get("email"), told.name or customer.get("name"))

    def _may_ask(self, facts: Facts) -> bool:
        asked = self.subscription_id, self.customer_id
        return self.stripe.can_be_asked and organization_of(*asked, facts) is not None

    def _name(self, facts: Facts) -> Facts:
        product_id = newest_snapshot(facts).get("productId")
        if product_id is None or product_id in facts.get("names", {}):
            return {}
        name = self.stripe.product_name(product_id)
        return self.event.name_fact(product_id, name) if name else {}
