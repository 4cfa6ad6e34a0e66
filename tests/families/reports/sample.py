"""A report with all that a report can have, and one with nothing: no database is needed."""

from datetime import UTC, date, datetime

from app.families.reports.period import Period
from app.families.reports.report import (
    Better,
    Chart,
    ChartKind,
    Column,
    Contents,
    Figure,
    Money,
    Report,
    Series,
    Subject,
    Table,
    Unit,
)
from tests.families.reports.world import NASTY

WEEK = Period(date(2026, 10, 1), date(2026, 10, 7))
FORMULA = "=HYPERLINK(1)"
FIGURES = [
    Figure(key="signUps", label="Sign-ups", value=1234, previous=1000),
    Figure(
        key="churn",
        label="Churn",
        value=0.025,
        previous=0.03,
        unit=Unit.PERCENT,
        better=Better.LESS,
    ),
    Figure(
        key="revenue.usd",
        label="Revenue, USD",
        value=Money(123456, "usd"),
        previous=Money(100000, "usd"),
        unit=Unit.MONEY,
    ),
    Figure(key="revenue.jpy", label="Revenue, JPY", value=Money(5000, "jpy"), unit=Unit.MONEY),
    Figure(key="p95", label="Duration", value=1.5, previous=None, unit=Unit.SECONDS),
]
CHARTS = [
    Chart(
        key="signUps",
        title="Sign-ups by day",
        kind=ChartKind.AREA,
        points=WEEK.buckets,
        series=[Series("signUps", "Sign-ups", [3, 1, None, 4, 1, 5, 9])],
    ),
    Chart(
        key="outcomes",
        title="Jobs by outcome",
        kind=ChartKind.STACK,
        points=WEEK.buckets,
        series=[
            Series("completed", "Completed", [5, 6, 7, 8, 9, 10, 11]),
            Series("dead", "Dead", [0, 1, 0, 1, 0, 1, 0]),
        ],
    ),
    Chart(
        key="revenue",
        title="Revenue over time",
        kind=ChartKind.LINE,
        points=WEEK.buckets,
        series=[Series("amount", "USD", [100000 + n for n in range(7)])],
        unit=Unit.MONEY,
        currency="usd",
    ),
    Chart(
        key="ranking",
        title="Plans by size",
        kind=ChartKind.RANKING,
        points=[NASTY, "Team"],
        series=[Series("count", "Count", [7, 3])],
    ),
    Chart(
        key="nothing",
        title="Refunds",
        kind=ChartKind.BAR,
        points=WEEK.buckets,
        series=[Series("refunds", "Refunds", [0] * 7)],
    ),
]
PLANS = Table(
    key="plans",
    title="Subscriptions by plan",
    columns=[
        Column("plan", "Plan", Unit.TEXT),
        Column("count", "Count"),
        Column("share", "Share", Unit.PERCENT),
        Column("since", "Since", Unit.DAY),
        Column("revenue", "Revenue", Unit.MONEY),
    ],
    rows=[
        (NASTY, 1200, 0.75, date(2026, 1, 2), Money(990000, "usd")),
        (FORMULA, 400, 0.25, date(2026, 3, 4), Money(-12345, "eur")),
    ],
    totals=[(None, 1600, 1.0, None, Money(990000, "usd"))],
)
LONG = Table(
    key="long",
    title="Many rows",
    columns=[Column("name", "Name", Unit.TEXT), Column("number", "Number")],
    rows=[(f"Row {n}", n) for n in range(1, 601)],
    total_rows=7_000,
)


def report(contents: Contents) -> Report:
    return Report(
        type="monthly-analytics",
        title="Monthly analytics",
        publisher="Acme & Söhne",
        period=WEEK,
        organization=Subject(7, NASTY),
        generated_at=datetime(2026, 11, 2, 9, 30, tzinfo=UTC),
        contents=contents,
    )


FULL = report(Contents(FIGURES, CHARTS, [PLANS, LONG], ["Days are days in UTC."]))
EMPTY = report(
    Contents(
        [Figure(key="signUps", label="Sign-ups", value=0, previous=3)],
        [CHARTS[-1]],
        [Table(key="plans", title="Subscriptions by plan", columns=PLANS.columns, rows=[])],
    )
)
