"""Subscriptions that started and ended: the movements behind the figures of several reports.

A subscription counts from `subscribed_at` to `unsubscribed_at`. One whose first payment never came
(incomplete) does not count; a trial counts but brings no revenue yet, nor does one that is unpaid
or paused. Amount and status are always the current ones: earlier ones are not kept. Unknown amounts
are left out of sums, and counted separately.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import text

from app.accounts.subscription_facts import NEVER_BEGAN, WITHOUT_REVENUE
from app.families.reports.report import Money
from app.families.reports.scope import PREVIOUS, Scope, Tally


def _listed(statuses: Iterable[str]) -> str:
    return ", ".join(f"'{status}'" for status in sorted(statuses))


COUNTED = f"""subscribed_at IS NOT NULL
   AND coalesce(subscription_status, '') NOT IN ({_listed(NEVER_BEGAN)})
   AND (CAST(:organization AS bigint) IS NULL OR id = :organization)"""
_PAYS = f"coalesce(subscription_status, '') NOT IN ({_listed(WITHOUT_REVENUE)})"
_UNKNOWN = "(monthly_amount IS NULL OR currency IS NULL)"

# One pass: each organization has at most one start and one end.
_MOVEMENTS = text(
    f"""
SELECT width_bucket(moment.at, CAST(:edges AS timestamptz[])) AS bucket,
       coalesce(plan_name, 'No plan') AS plan, currency,
       count(*) FILTER (WHERE moment.begins) AS started,
       count(*) FILTER (WHERE NOT moment.begins) AS ended,
       coalesce(sum(CASE WHEN moment.begins THEN monthly_amount ELSE -monthly_amount END)
                FILTER (WHERE {_PAYS}), 0) AS amount,
       coalesce(sum(CASE WHEN moment.begins THEN 1 ELSE -1 END)
                FILTER (WHERE {_PAYS} AND {_UNKNOWN}), 0) AS unknown
  FROM organizations
 CROSS JOIN LATERAL (VALUES (subscribed_at, true), (unsubscribed_at, false)) AS moment(at, begins)
 WHERE moment.at < :until AND {COUNTED}
 GROUP BY 1, 2, 3"""  # noqa: S608 - our own words
)


class Movement(NamedTuple):
    """What started and ended in one bucket, for one plan and currency.

    Attributes:
        amount: The change of the known monthly amounts.
        unknown: The change of the number of subscriptions of unknown amount.
    """

    bucket: int
    plan: str
    currency: str | None
    started: int
    ended: int
    amount: int
    unknown: int


Where = Callable[[Movement], bool]


def _all(_: Movement) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Movements:
    """All movements up to the end of a period."""

    scope: Scope
    found: tuple[Movement, ...]

    def started(self, where: Where = _all) -> Tally:
        return self._tally(lambda one: one.started, where)

    def ended(self, where: Where = _all) -> Tally:
        return self._tally(lambda one: one.ended, where)

    def active(self, where: Where = _all) -> Tally:
        """Return the changes in the number of subscriptions; its running sums are the levels."""
        return self._tally(lambda one: one.started - one.ended, where)

    def revenue(self, where: Where = _all) -> Tally:
        """Return the changes in the monthly amount; filter by currency."""
        return self._tally(lambda one: int(one.amount), where)

    def unknown(self, where: Where = _all) -> Tally:
        """Return the changes in the number of subscriptions of unknown amount."""
        return self._tally(lambda one: int(one.unknown), where)

    @property
    def currencies(self) -> list[str]:
        """The currencies with revenue, the one with the most subscriptions first."""
        started: dict[str, int] = defaultdict(int)
        for one in self.found:
            if one.currency:
                started[one.currency] += one.started
        return sorted(started, key=lambda currency: (-started[currency], currency))

    @property
    def plans(self) -> list[tuple[str, str | None]]:
        """Plans with their currencies, by name."""
        return sorted({(one.plan, one.currency) for one in self.found}, key=str)

    def recurring(self, currency: str, where: Where = _all) -> tuple[Money | None, Money | None]:
        """Return the monthly amounts at the end of the period and of the previous one.

        They leave out unknown amounts; None if no amount is known.
        """

        def wanted(one: Movement) -> bool:
            return one.currency == currency and where(one)

        amounts, unknown = self.revenue(wanted), self.unknown(wanted)
        return (
            _unless_all_unknown(at_end(amounts), at_end(unknown), currency),
            _unless_all_unknown(at_start(amounts), at_start(unknown), currency),
        )

    def churn(self, where: Where = _all) -> tuple[float | None, float | None]:
        """Return the share of initial subscriptions that ended, in this and the previous period."""
        active, ended = self.active(where), self.ended(where)
        return (
            _share(ended.total, at_start(active)),
            _share(ended.previous, active.before),
        )

    def _tally(self, value: Callable[[Movement], int], where: Where) -> Tally:
        counts: dict[int, int] = defaultdict(int)
        for one in self.found:
            if where(one):
                counts[one.bucket] += value(one)
        return Tally.of(self.scope, counts)


def movements(scope: Scope) -> Movements:
    """Read all movements up to the end of the period."""
    return Movements(scope, tuple(map(Movement._make, scope.rows(_MOVEMENTS))))


def at_end(tally: Tally) -> int:
    """Return the level at the end of the period."""
    return tally.running[-1]


def at_start(tally: Tally) -> int:
    """Return the level at the start of the period, which is the end of the previous one."""
    return sum(count for bucket, count in tally.counts.items() if bucket <= PREVIOUS)


def _unless_all_unknown(amount: int, unknown: int, currency: str) -> Money | None:
    return None if unknown and not amount else Money(amount, currency)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None
