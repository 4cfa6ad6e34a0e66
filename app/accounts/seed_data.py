"""Plausible organizations and people, generated from a seed: the same seed, the same data."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from app.accounts.activity import Activity

Row = tuple[Any, ...]

_FIRST = """Ada Alan Amina Anders Beatriz Chen Chidi Clara Dara Edsger Elif Farid Grace Hana Ines
Ivan Jamal Joan Kofi Lars Leila Linus Maja Marie Mateo Mei Nadia Noor Olga Omar Priya Radia Rosa
Ruth Sana Tariq Tomoko Vera Wei Yusuf Zofia"""
_LAST = """Abbas Andersson Bauer Costa Diallo Eriksen Ferrari Garcia Haddad Hopper Ito Jansen Kaya
Keller Kim Kowalski Lovelace Martin Mbeki Nguyen Novak Okafor Osei Patel Perez Petrov Quinn Rossi
Saito Schmidt Silva Singh Suzuki Tanaka Turing Usman Vega Wang Wolf Yilmaz Zhang"""
_WORDS = """Amber Anchor Atlas Birch Cedar Cobalt Delta Ember Falcon Granite Harbor Indigo Juniper
Kestrel Lumen Maple Nimbus Onyx Orbit Pioneer Quartz River Sable Summit Tidal Umber Vector Willow
Zephyr"""
_KINDS = "Analytics Bikes Books Clinic Foods Labs Logistics Media Robotics Studio Systems"
# Name, product, monthly amount in cents.
_PLANS = (
    ("Starter", "prod_starter", 1900),
    ("Team", "prod_team", 4900),
    ("Business", "prod_business", 19900),
)
_SHARES = (55, 33, 12)
_STATUSES = ("active", "trialing", "past_due", "canceled")
_STATUS_SHARES = (76, 6, 5, 13)
_SIZES, _SIZE_SHARES = (1, 2, 3, 5, 8, 13, 30), (26, 22, 18, 16, 10, 6, 2)

#: How long ago the first organization was created.
DAYS = 730
PAYING, LEAVING = 0.62, 0.04


@dataclass(slots=True)
class Batch:
    """Rows of some organizations, in the order of the columns in `COLUMNS`."""

    organizations: list[Row] = field(default_factory=list)
    users: list[Row] = field(default_factory=list)
    memberships: list[Row] = field(default_factory=list)
    activity_logs: list[Row] = field(default_factory=list)


COLUMNS = {
    "organizations": (
        "id name stripe_customer_id stripe_subscription_id stripe_product_id plan_name"
        " subscription_status monthly_amount currency subscribed_at unsubscribed_at"
        " current_period_end cancel_at created_at updated_at"
    ),
    "users": "id email name created_at updated_at",
    "memberships": "organization_id user_id role created_at",
    "activity_logs": "organization_id user_id action details ip_address created_at",
}


def domain(seed: int) -> str:
    """Return the email domain of a seed's people, which nobody receives (RFC 2606)."""
    return f"seed{seed}.example.com"


def customer_prefix(seed: int) -> str:
    return f"cus_seed{seed}x"


class Seed:
    """Generates batches, one in memory at a time."""

    def __init__(self, seed: int, *, users: int, until: date, first: tuple[int, int]) -> None:
        """Prepare.

        Args:
            seed: Determines everything but the ids.
            users: How many people.
            until: Everything happened before this day.
            first: The ids of the first organization and the first user.
        """
        self._random = Random(seed)  # noqa: S311 - nothing here is a secret
        self._seed = seed
        self._users = users
        self._until = datetime.combine(until, datetime.min.time(), UTC)
        self._first_organization, self._first_user = first

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all, by at least `size` users."""
        batch, organization, made = Batch(), 0, 0
        while made < self._users:
            people = min(self._users - made, *self._random.choices(_SIZES, _SIZE_SHARES))
            self._organization(batch, organization, range(made, made + people))
            organization, made = organization + 1, made + people
            if len(batch.users) >= size or made == self._users:
                yield batch
                batch = Batch()

    def _organization(self, batch: Batch, number: int, people: range) -> None:
        organization_id = self._first_organization + number
        created = self._until - timedelta(seconds=self._random.randrange(1, DAYS * 86400))
        owner = self._first_user + people[0]
        name = f"{self._pick(_WORDS)} {self._pick(_KINDS)}"
        customer = f"{customer_prefix(self._seed)}{number}"
        row = (organization_id, name, customer, *self._subscription(batch, number, created, owner))
        batch.organizations.append((*row, created, created))
        self._log(batch, organization_id, owner, Activity.ORGANIZATION_CREATED, created)
        for person in people:
            self._person(batch, organization_id, person, created, owns=person == people[0])

    def _person(
        self, batch: Batch, organization_id: int, number: int, since: datetime, *, owns: bool
    ) -> None:
        user_id = self._first_user + number
        joined = since if owns else self._between(since)
        first, last = self._pick(_FIRST), self._pick(_LAST)
        email = f"{first}.{last}.{number}@{domain(self._seed)}".lower()
        role = "owner" if owns else self._random.choices(("admin", "member"), (15, 85))[0]
        batch.users.append((user_id, email, f"{first} {last}", joined, joined))
        batch.memberships.append((organization_id, user_id, role, joined))
        if not owns:
            self._log(batch, organization_id, user_id, Activity.MEMBER_JOINED, joined)

    def _subscription(self, batch: Batch, number: int, created: datetime, owner: int) -> Row:
        if self._random.random() > PAYING:
            return (None,) * 10
        [(plan, product, amount)] = self._random.choices(_PLANS, _SHARES)
        [status] = self._random.choices(_STATUSES, _STATUS_SHARES)
        began = self._between(created)
        ended = self._between(began) if status == "canceled" else None
        last = ended or self._until
        period_end = began + timedelta(days=30 * ((last - began).days // 30 + 1))
        leaving = period_end if status == "active" and self._random.random() < LEAVING else None
        organization_id = self._first_organization + number
        self._log(batch, organization_id, owner, Activity.SUBSCRIPTION_CREATED, began)
        if status == "past_due":
            late = self._between(began)
            self._log(batch, organization_id, None, Activity.PAYMENT_FAILED, late)
        if ended:
            self._log(batch, organization_id, None, Activity.SUBSCRIPTION_CANCELED, ended)
        subscription = f"sub_seed{self._seed}x{number}"
        what = (subscription, product, plan, status, amount, "usd")
        return (*what, began, ended, period_end, leaving)

    def _log(
        self, batch: Batch, organization_id: int, user_id: int | None, action: str, at: datetime
    ) -> None:
        # RFC 5737 reserves these addresses for documentation.
        address = f"203.0.113.{self._random.randrange(1, 255)}"
        batch.activity_logs.append((organization_id, user_id, action, "{}", address, at))

    def _between(self, since: datetime) -> datetime:
        seconds = int((self._until - since).total_seconds())
        return since + timedelta(seconds=self._random.randrange(max(1, seconds)))

    def _pick(self, names: str) -> str:
        return self._random.choice(names.split())
