"""What an event does not tell and its effect needs: asked of Stripe before anything is locked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.accounts.facts import join, newest_snapshot
from app.accounts.subscriptions import known_facts, organization_of
from app.families.webhooks.stripe import shapes
from app.families.webhooks.stripe.api import Stripe
from app.families.webhooks.stripe.event import Event

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Missing:
    """What is missing of one event; nothing is asked without a key, or about an unknown customer.

    All raise what `Stripe` raises.
    """

    event: Event
    stripe: Stripe
    subscription_id: str

    @property
    def customer_id(self) -> str:
        return shapes.customer_id(self.event.thing)

    def facts(self, told: Facts) -> Facts:
        """Return a state, where none is known, and the product's name."""
        facts: Facts = join(known_facts(self.subscription_id), told)
        if not self._may_ask(facts):
            return {}
        asked: Facts = {}
        if not newest_snapshot(facts) and (found := self.stripe.subscription(self.subscription_id)):
            asked = self.event.fact_of_state(found, before={})
        return join(asked, self._name(join(facts, asked)))

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
