"""The limits of a report type's queries, and how their rows become series."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, TextClause

from app.db import db
from app.families.reports.period import Period
from app.jobs.kit import OwnerId

#: The buckets of `width_bucket` with `Period.edges`.
BEFORE, PREVIOUS, FIRST = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Scope:
    """A period, and one organization or all.

    Attributes:
        organization_id: None for all.
    """

    period: Period
    organization_id: OwnerId | None = None

    def rows(self, statement: TextClause) -> list[Row[Any]]:
        """Run a query.

        It may use `:edges`, the array for `width_bucket`; `:since` and `:until`, the bounds of the
        previous and the current period together; `:present`, where the current one starts; and
        `:organization`, which may be null.
        """
        edges = self.period.edges
        given = {
            "edges": edges,
            "since": edges[0],
            "present": edges[1],
            "until": edges[-1],
            "organization": self.organization_id,
        }
        used = {name: given[name] for name in statement.compile().params}
        return list(db.session.execute(statement, used))


@dataclass(frozen=True, slots=True)
class Tally:
    """Additive counts by bucket."""

    counts: Mapping[int, int]
    size: int

    @classmethod
    def of(cls, scope: Scope, pairs: Mapping[int, int]) -> "Tally":
        return cls(pairs, len(scope.period.buckets))

    @property
    def before(self) -> int:
        return self.counts.get(BEFORE, 0)

    @property
    def previous(self) -> int:
        return self.counts.get(PREVIOUS, 0)

    @property
    def series(self) -> list[int]:
        return [self.counts.get(FIRST + index, 0) for index in range(self.size)]

    @property
    def total(self) -> int:
        return sum(self.series)

    @property
    def running(self) -> list[int]:
        """The running total at the end of each bucket, of all time."""
        levels, level = [], self.before + self.previous
        for value in self.series:
            level += value
            levels.append(level)
        return levels
