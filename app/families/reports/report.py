"""A report: the one structure that report types fill and formats render."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from app.families.reports.period import Period


class Unit(StrEnum):
    """What a value means; the comments name its Python type."""

    #: int
    COUNT = "count"
    #: float, 1.0 is 100 %
    PERCENT = "percent"
    #: float
    SECONDS = "seconds"
    #: Money
    MONEY = "money"
    #: date
    DAY = "day"
    #: str
    TEXT = "text"


class Money(NamedTuple):
    """An amount in the currency's smallest unit; the currency is ISO 4217 in lower case."""

    amount: int
    currency: str

    @classmethod
    def known(cls, amount: int | None, currency: str | None) -> "Money | None":
        """Return the money in two columns, None if either is null."""
        return None if amount is None or currency is None else cls(amount, currency)


Value = int | float | str | date | Money | None


class Better(StrEnum):
    """Which direction of a figure is good."""

    MORE = "more"
    LESS = "less"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One headline number, and that of the previous period of equal length.

    Attributes:
        key: The name in data formats, in camel case.
        explanation: How it is counted, briefly.
    """

    key: str
    label: str
    value: Value
    previous: Value = None
    unit: Unit = Unit.COUNT
    better: Better = Better.MORE
    explanation: str = ""

    @property
    def change(self) -> float | None:
        """The change as a fraction of the previous value, for a percentage in points.

        None if there is nothing to compare with.
        """
        now, before = _number(self.value), _number(self.previous)
        if now is None or before is None:
            return None
        if self.unit is Unit.PERCENT:
            return now - before
        return (now - before) / before if before else None


class ChartKind(StrEnum):
    #: A quantity over time.
    AREA = "area"
    #: Several quantities over time.
    LINE = "line"
    #: Counts over time, side by side.
    BAR = "bar"
    #: Parts of a whole over time, stacked.
    STACK = "stack"
    #: Named things by size; `points` are their names.
    RANKING = "ranking"


@dataclass(frozen=True, slots=True)
class Series:
    """One value per point of a chart; None is a gap."""

    key: str
    label: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Some series over the same points.

    Attributes:
        points: Days, each the first of its bucket; in a ranking, names.
        currency: For amounts, which are in its smallest unit.
    """

    key: str
    title: str
    kind: ChartKind
    points: Sequence[date] | Sequence[str]
    series: Sequence[Series]
    unit: Unit = Unit.COUNT
    currency: str | None = None

    @property
    def is_empty(self) -> bool:
        return not any(value for series in self.series for value in series.values)

    @property
    def has_lone_values(self) -> bool:
        """Whether a value has gaps on both sides: its line would have no length."""
        return any(
            before is None and value is not None and after is None
            for series in self.series
            for before, value, after in zip(
                [None, *series.values], series.values, [*series.values[1:], None], strict=False
            )
        )

    def valued(self, value: float | None) -> Value:
        """Return a series' value as money, if the chart is about money."""
        if value is None or self.currency is None:
            return value
        return Money(round(value), self.currency)


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    label: str
    unit: Unit = Unit.COUNT


Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows in the order of `columns`.

    Attributes:
        totals: One row, or one per currency, or none.
        total_rows: The number of all rows, if `rows` has only the first of them.
    """

    key: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    totals: Sequence[Row] = ()
    total_rows: int | None = None

    @property
    def count(self) -> int:
        return len(self.rows) if self.total_rows is None else self.total_rows


@dataclass(frozen=True, slots=True)
class Contents:
    """The result of a report type's computation."""

    figures: Sequence[Figure]
    charts: Sequence[Chart]
    tables: Sequence[Table]
    notes: Sequence[str] = ()


class Subject(NamedTuple):
    """The organization that a report is limited to."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished report.

    Attributes:
        publisher: The app's name.
        organization: None for all.
        generated_at: In UTC.
    """

    type: str
    title: str
    publisher: str
    period: Period
    organization: Subject | None
    generated_at: datetime
    contents: Contents

    @property
    def is_empty(self) -> bool:
        """Whether no data was found at all."""
        body = self.contents
        return not (
            any(_number(figure.value) for figure in body.figures)
            or any(not chart.is_empty for chart in body.charts)
        )


def _number(value: Value) -> float | None:
    if isinstance(value, Money):
        return float(value.amount)
    return float(value) if isinstance(value, int | float) else None
