"""The report `subscription-summary`: current subscriptions, and how they changed."""

from sqlalchemy import text

from app.families.reports.catalog import report_type
from app.families.reports.plans import (
    active_figure,
    churn_figure,
    plan_table,
    revenue_charts,
    revenue_figures,
    unknown_notes,
)
from app.families.reports.report import (
    Better,
    Chart,
    ChartKind,
    Column,
    Contents,
    Figure,
    Money,
    Row,
    Series,
    Table,
    Unit,
)
from app.families.reports.scope import Scope
from app.families.reports.subscriptions import COUNTED, Movements, at_end, movements

#: Rows of one list, in any format; for more, an export is the better tool.
MOST_ROWS = 5_000
#: Plans in the chart.
RANKED = 8

_ACTIVE = """subscribed_at < :until AND (unsubscribed_at IS NULL OR unsubscribed_at >= :until)"""
_ENDED = """unsubscribed_at >= :present AND unsubscribed_at < :until"""


def _listing(which: str, day: str) -> str:
    return f"""
SELECT name, plan_name, subscription_status, {day}::date AS day, monthly_amount, currency,
       count(*) OVER () AS total
  FROM organizations
 WHERE {which} AND {COUNTED}
 ORDER BY monthly_amount DESC NULLS LAST, name, id
 LIMIT {MOST_ROWS}"""  # noqa: S608 - our own words


_LISTS = {
    "active": text(_listing(_ACTIVE, "timezone('UTC', subscribed_at)")),
    "ended": text(_listing(_ENDED, "timezone('UTC', unsubscribed_at)")),
}

NOTES = (
    "Days are days in UTC. Changes compare with the equally long period just before.",
    (
        "Subscriptions count from their first day to the day they ended, trials included; those"
        " whose first payment never came do not count."
    ),
    (
        "Amounts are fixed prices of a month as of today, less discounts that never end. Usage is"
        " not in them; trials, and subscriptions that are unpaid or paused, bring no revenue."
    ),
    "The status in the lists is the present one.",
)


@report_type(
    "subscription-summary",
    title="Subscription summary",
    description="Subscriptions by plan, what began and ended, and every subscription by name",
)
def subscription_summary(scope: Scope) -> Contents:
    moves = movements(scope)
    return Contents(
        figures=[*_figures(moves), *revenue_figures(moves)],
        charts=_charts(moves, scope),
        tables=[
            plan_table(moves),
            _list(scope, "ended", "Ended in the period", "Ended"),
            _list(scope, "active", "Subscriptions on the last day", "Since"),
        ],
        notes=[*NOTES, *unknown_notes(moves)],
    )


def _figures(moves: Movements) -> list[Figure]:
    started, ended = moves.started(), moves.ended()
    return [
        active_figure(moves),
        Figure(key="started", label="Begun", value=started.total, previous=started.previous),
        Figure(
            key="ended",
            label="Ended",
            value=ended.total,
            previous=ended.previous,
            better=Better.LESS,
        ),
        churn_figure(moves),
    ]


def _charts(moves: Movements, scope: Scope) -> list[Chart]:
    days = scope.period.buckets
    plans = sorted({plan for plan, _ in moves.plans})
    sizes = {plan: _size(moves, plan) for plan in plans}
    largest = sorted((plan for plan in plans if sizes[plan]), key=lambda plan: -sizes[plan])[
        :RANKED
    ]
    return [
        Chart(
            key="subscriptions",
            title="Subscriptions",
            kind=ChartKind.AREA,
            points=days,
            series=[Series("subscriptions", "Subscriptions", moves.active().running)],
        ),
        Chart(
            key="movements",
            title="Begun and ended",
            kind=ChartKind.BAR,
            points=days,
            series=[
                Series("started", "Begun", moves.started().series),
                Series("ended", "Ended", moves.ended().series),
            ],
        ),
        *revenue_charts(moves, days),
        Chart(
            key="plans",
            title="Subscriptions by plan",
            kind=ChartKind.RANKING,
            points=largest,
            series=[Series("subscriptions", "Subscriptions", [sizes[plan] for plan in largest])],
        ),
    ]


def _size(moves: Movements, plan: str) -> int:
    return at_end(moves.active(lambda one: one.plan == plan))


def _list(scope: Scope, which: str, title: str, day: str) -> Table:
    found = scope.rows(_LISTS[which])
    rows: list[Row] = [
        (
            row.name,
            row.plan_name,
            row.subscription_status,
            row.day,
            Money.known(row.monthly_amount, row.currency),
        )
        for row in found
    ]
    return Table(
        key=which,
        title=title,
        columns=[
            Column("organization", "Organization", Unit.TEXT),
            Column("plan", "Plan", Unit.TEXT),
            Column("status", "Status now", Unit.TEXT),
            Column("day", day, Unit.DAY),
            Column("amount", "A month", Unit.MONEY),
        ],
        rows=rows,
        total_rows=found[0].total if found else 0,
    )
