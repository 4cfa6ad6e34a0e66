"""What the jobs cost at QStash: messages, retries and callbacks, beside what the plan has."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from flask import current_app
from sqlalchemy import Connection

from ..registry import registry_of
from ..table import marks
from ..table.db import in_transaction
from ..table.usage_sql import BY_JOBS, TALLIES
from ..values.ids import OwnerId

K = TypeVar("K")

DAY = 86_400.0
#: Days of the month that is projected.
MONTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What some jobs took.

    Attributes:
        jobs: Those recorded in the period.
        messages: That QStash accepted for them: legs and snoozes included, and what tells the
            caller of a failure.
        retries: Deliveries of these after the first.
        callbacks: Messages that tell how an attempt, or a job, ended.
        legs: How often jobs continued in another delivery; these messages are among `messages`.
    """

    jobs: int = 0
    messages: int = 0
    retries: int = 0
    callbacks: int = 0
    legs: int = 0

    @property
    def total(self) -> int:
        """What QStash counts: it calls each attempt to deliver a message."""
        return self.messages + self.retries + self.callbacks

    def __add__(self, other: "Spent") -> "Spent":
        names = [one.name for one in fields(self)]
        return Spent(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, slots=True)
class Plan:
    """What the settings say of QStash's plan; 0 is not said, or no limit.

    Attributes:
        messages_per_day: How many it has.
        price: Of 100,000 messages.
    """

    messages_per_day: int
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a period cost.

    Attributes:
        seconds: How far back.
        covered: Seconds since the first that was counted, at most these, and a day at least.
        types: By job type.
        organizations: By organization; None is no one's.
        sweeps, probes: Messages that asked for a sweep, or that the doctor sent; of no job.
        today: What jobs recorded since midnight (UTC) took, if the period goes back as far.
    """

    seconds: float
    covered: float
    types: dict[str, Spent]
    organizations: dict[OwnerId | None, Spent]
    sweeps: int
    probes: int
    today: int
    plan: Plan

    @property
    def total(self) -> Spent:
        """All of it."""
        others = Spent(messages=self.sweeps + self.probes)
        return sum(self.types.values(), others)

    @property
    def per_day(self) -> float:
        """Messages on an average day."""
        return self.total.total / (self.covered / DAY)

    @property
    def projected(self) -> int:
        """Messages of a month at this rate."""
        return round(self.per_day * MONTH)


@dataclass(slots=True)
class _Counted:
    types: dict[str, Spent] = field(default_factory=dict)
    organizations: dict[OwnerId | None, Spent] = field(default_factory=dict)
    tallies: Counter[str] = field(default_factory=Counter)
    oldest: float = 0.0
    today: int = 0


def usage(*, since: float) -> Usage:
    """Count what the jobs recorded in the last `since` seconds took.

    Raises:
        DatabaseUnavailable: Nothing can be counted.
    """
    found = in_transaction(lambda tx: _count(tx, since))
    config = current_app.config
    return Usage(
        seconds=since,
        covered=max(DAY, min(since, found.oldest)),
        types=found.types,
        organizations=found.organizations,
        sweeps=found.tallies[marks.SWEPT],
        probes=found.tallies[marks.PROBE],
        today=found.today,
        plan=Plan(config["JOBS_PLAN_MESSAGES_PER_DAY"], config["JOBS_PLAN_PRICE"]),
    )


def as_json(found: Usage) -> dict[str, Any]:
    """Return it as `flask jobs usage --json` prints it."""
    return {
        "seconds": found.seconds,
        "types": {name: _as_json(spent) for name, spent in found.types.items()},
        "organizations": [
            {"organizationId": owner, **_as_json(spent)}
            for owner, spent in found.organizations.items()
        ],
        "sweeps": found.sweeps,
        "probes": found.probes,
        "total": _as_json(found.total),
        "today": found.today,
        "perDay": round(found.per_day, 1),
        "projectedMonth": found.projected,
        "plan": {
            "messagesPerDay": found.plan.messages_per_day or None,
            "projectedPrice": price(found) if found.plan.price else None,
        },
    }


def price(found: Usage) -> float:
    """Return what a month at this rate costs, in the currency of JOBS_PLAN_PRICE."""
    return round(found.projected * found.plan.price / 100_000, 2)


def _as_json(spent: Spent) -> dict[str, int]:
    return {one.name: getattr(spent, one.name) for one in fields(spent)} | {"total": spent.total}


def _count(connection: Connection, since: float) -> _Counted:
    external = [one.type for one in registry_of(current_app) if one.is_external]
    counted = _Counted()
    for row in connection.execute(BY_JOBS, {"since": since, "external": external}):
        spent = Spent(**{one.name: getattr(row, one.name) for one in fields(Spent)})
        if row.is_type:
            counted.types[row.job_type] = spent
        elif row.is_organization:
            counted.organizations[row.organization_id] = spent
        else:
            counted.oldest, counted.today = row.oldest, row.today
    for row in connection.execute(TALLIES, {"since": since}):
        counted.oldest = max(counted.oldest, row.oldest)
        counted.today += row.today
        if row.kind == marks.EMPTY_RUN:
            before = counted.types.get(row.name, Spent())
            counted.types[row.name] = before + Spent(messages=row.messages)
        else:
            counted.tallies[row.kind] += row.messages
    counted.types = _largest_first(counted.types)
    counted.organizations = _largest_first(counted.organizations)
    return counted


def _largest_first(found: dict[K, Spent]) -> dict[K, Spent]:
    return dict(sorted(found.items(), key=lambda item: -item[1].total))
