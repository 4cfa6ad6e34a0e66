"""What the jobs cost at QStash: messages, retries and callbacks, beside what the plan has."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from flask import current_app
from sqlalchemy import Connection

from ..registry import registry_of
from ..table import marks, spent_lately
from ..table.db import in_transaction
from ..table.usage_sql import BY_JOBS, TALLIES
from ..values.ids import OwnerId, parse_owner_id

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
    return _usage(in_transaction(lambda tx: _count(tx, since)), since)


def _usage(found: "_Counted", since: float) -> Usage:
    return Usage(
        seconds=since,
        covered=max(DAY, min(since, found.oldest)),
        types=found.types,
        organizations=found.organizations,
        sweeps=found.tallies[marks.SWEPT],
        probes=found.tallies[marks.PROBE],
        today=found.today,
        plan=_plan(),
    )


def _plan() -> Plan:
    config = current_app.config
    return Plan(config["JOBS_PLAN_MESSAGES_PER_DAY"], config["JOBS_PLAN_PRICE"])


def _external() -> list[str]:
    return [one.type for one in registry_of(current_app) if one.is_external]


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """What this day (UTC) cost until now.

    Attributes:
        total: Messages, retries and callbacks.
        is_complete: Not only the newer part of it has been counted; to ask again counts more.
    """

    total: int
    plan: Plan
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """What the last days cost, counted hour by hour; for somebody who looks again and again.

    What jobs took after their hour was counted last is missing: it is counted again half an hour
    and eight hours after its end.

    Attributes:
        usage: Its organizations are only those that took the most.
        organizations: How many there are.
        is_complete: As of `Today`.
    """

    usage: Usage
    organizations: int
    is_complete: bool


def today() -> Today:
    """Return what the jobs recorded since midnight (UTC) took.

    Raises:
        DatabaseUnavailable: Nothing can be counted.
    """
    found = spent_lately.count(days=0, external=_external(), by_organization=False)
    counted = _Counted(today=sum(_spent(parts).total for parts in found.types.values()))
    in_transaction(lambda tx: _add_tallies(tx, counted, 0))
    return Today(total=counted.today, plan=_plan(), is_complete=found.is_complete)


def lately(*, days: int, most: int) -> Lately:
    """Return what the jobs recorded in the last days took.

    Args:
        days: How many, at most 30.
        most: How many organizations to name.

    Raises:
        DatabaseUnavailable: Nothing can be counted.
    """
    of_today = today()
    found = spent_lately.count(days=days, external=_external(), by_organization=True)
    counted = _Counted(
        types={name: _spent(parts) for name, parts in found.types.items()},
        organizations={
            parse_owner_id(name) if name else None: _spent(parts)
            for name, parts in found.organizations.items()
        },
        oldest=found.oldest,
    )
    in_transaction(lambda tx: _add_tallies(tx, counted, days * DAY))
    counted.today = of_today.total
    organizations = len(counted.organizations)
    counted.organizations = dict(list(counted.organizations.items())[:most])
    return Lately(
        usage=_usage(counted, days * DAY),
        organizations=organizations,
        is_complete=found.is_complete and of_today.is_complete,
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


def _spent(parts: list[int]) -> Spent:
    return Spent(**dict(zip((one.name for one in fields(Spent)), parts, strict=True)))


def _as_json(spent: Spent) -> dict[str, int]:
    return {one.name: getattr(spent, one.name) for one in fields(spent)} | {"total": spent.total}


def _count(connection: Connection, since: float) -> _Counted:
    counted = _Counted()
    for row in connection.execute(BY_JOBS, {"since": since, "external": _external()}):
        spent = Spent(**{one.name: getattr(row, one.name) for one in fields(Spent)})
        if row.is_type:
            counted.types[row.job_type] = spent
        elif row.is_organization:
            counted.organizations[row.organization_id] = spent
        else:
            counted.oldest, counted.today = row.oldest, row.today
    _add_tallies(connection, counted, since)
    return counted


def _add_tallies(connection: Connection, counted: _Counted, since: float) -> None:
    """Add the messages that no job's row tells of, and put those that took the most first."""
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


def _largest_first(found: dict[K, Spent]) -> dict[K, Spent]:
    return dict(sorted(found.items(), key=lambda item: -item[1].total))
