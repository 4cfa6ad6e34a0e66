"""What events say about a subscription, joined so that their order does not matter.

Stripe delivers events late, twice and out of order, and several may have the same second
(https://docs.stripe.com/webhooks#event-ordering). So nothing is overwritten in place. `join` merges
facts by keeping the newest of each kind; it is associative, commutative and idempotent. `state_of`
computes a subscription's state from the facts alone.

Facts are JSON, as `StripeSubscription.facts` keeps them:

- `snapshots`: the newest states from Stripe, more than one only if they have the same second;
- `checkout`, `paymentFailed`, `organization`: the newest of each;
- `names`: product names by id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]

#: Stripe's statuses of a subscription.
STATUSES = (
    "active",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "paused",
    "trialing",
    "unpaid",
)
#: The final ones.
ENDED = frozenset({"canceled", "incomplete_expired"})
#: Those in which the first payment has never come.
NEVER_BEGAN = frozenset({"incomplete", "incomplete_expired"})
#: Those that are alive without recurring revenue, as Stripe itself counts it.
WITHOUT_REVENUE = frozenset({"trialing", "unpaid", "paused"})
#: The length of the plan's name column.
PLAN_LENGTH = 200
_PAID = frozenset({"active", "trialing"})
_NEWEST = ("checkout", "paymentFailed", "organization")

# Which of two states of the same second is the later.
ADOPTED, FETCHED, CREATED, UPDATED, DELETED = range(5)


@dataclass(frozen=True, slots=True)
class State:
    """The state of a subscription; times are Unix seconds, `monthly_amount` is in minor units."""

    status: str
    started: int = 0
    ended: int | None = None
    period_end: int | None = None
    cancel_at: int | None = None
    product_id: str | None = None
    plan_name: str | None = None
    monthly_amount: int | None = None
    currency: str | None = None

    @property
    def precedence(self) -> tuple[int, int]:
        """Order an organization's subscriptions: alive, then never paid, then ended; by start."""
        alive = 0 if self.status in ENDED else 1 if self.status == "incomplete" else 2
        return alive, self.started


def join(one: Facts, other: Facts) -> dict[str, Any]:
    """Return the newest of both."""
    joined: dict[str, Any] = {}
    for kind in _NEWEST:
        if told := [facts[kind] for facts in (one, other) if kind in facts]:
            joined[kind] = max(told, key=_age)
    if snapshots := _newest([*one.get("snapshots", ()), *other.get("snapshots", ())]):
        joined["snapshots"] = snapshots
    names = dict(one.get("names", {}))
    for product, name in other.get("names", {}).items():
        names[product] = max(names.get(product, name), name, key=_age)
    return {**joined, "names": names} if names else joined


def state_of(facts: Facts) -> State:
    """Return the state that the facts amount to."""
    snapshot = newest_snapshot(facts)
    checkout = facts.get("checkout", {})
    product = snapshot.get("productId")
    name = facts.get("names", {}).get(product, {}).get("name")
    return State(
        status=_status(snapshot, checkout, facts.get("paymentFailed")),
        started=snapshot.get("started") or checkout.get("at", 0),
        ended=snapshot.get("ended"),
        period_end=snapshot.get("periodEnd"),
        cancel_at=snapshot.get("cancelAt"),
        product_id=product,
        plan_name=(name or snapshot.get("label") or checkout.get("label") or "")[:PLAN_LENGTH]
        or None,
        monthly_amount=snapshot.get("monthlyAmount"),
        currency=snapshot.get("currency") or checkout.get("currency"),
    )


def newest_snapshot(facts: Facts) -> dict[str, Any]:
    """Return the newest state from Stripe, or an empty one.

    Of several from the same second, it is the one whose `before`, the values that it replaced, are
    the others' values: this orders successive changes although their times are equal.
    """
    snapshots: Sequence[dict[str, Any]] = facts.get("snapshots", ())

    def key(snapshot: dict[str, Any]) -> tuple[int, str]:
        follows = sum(_follows(snapshot, other) for other in snapshots)
        followed = sum(_follows(other, snapshot) for other in snapshots)
        return follows - followed, snapshot["event"]

    return max(snapshots, key=key, default={})


def _status(
    snapshot: Mapping[str, Any], checkout: Mapping[str, Any], failed: Mapping[str, Any] | None
) -> str:
    """Let a checkout or a failed payment decide unless Stripe's own state is later."""
    status: str = snapshot.get("status") or "incomplete"
    at = snapshot.get("at", -1)
    if status == "incomplete" and checkout.get("paid") and checkout["at"] >= at:
        status, at = "active", checkout["at"]
    if failed and failed["at"] > at and (status in _PAID or not snapshot):
        return "past_due"
    return status


def _age(told: Mapping[str, Any]) -> tuple[int, str]:
    return told["at"], told["event"]


def _newest(snapshots: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep those of the highest rank, one per event: the one whose amount is known."""

    def rank(snapshot: dict[str, Any]) -> tuple[bool, int, int]:
        return snapshot["status"] in ENDED, snapshot["at"], snapshot["kind"]

    best = max(map(rank, snapshots), default=None)
    known_last = sorted(snapshots, key=_amount_known)
    kept = {told["event"]: told for told in known_last if rank(told) == best}
    return [kept[event] for event in sorted(kept)]


def _amount_known(snapshot: Mapping[str, Any]) -> tuple[int, str]:
    amount = snapshot.get("monthlyAmount")
    return -1 if amount is None else amount, str(sorted(snapshot.items()))


def _follows(later: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    before = later["before"]
    return bool(before) and all(earlier.get(name) == was for name, was in before.items())
