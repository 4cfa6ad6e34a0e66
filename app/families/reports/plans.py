"""Figures, charts and the table of subscriptions, shared by several report types."""

from collections.abc import Sequence
from datetime import date

from app.families.reports.report import (
    Better,
    Chart,
    ChartKind,
    Column,
    Figure,
    Row,
    Series,
    Table,
    Unit,
)
from app.families.reports.subscriptions import Movements, Where, at_end, at_start

#: Revenue charts: one for each of the currencies with the most subscriptions.
CHARTED_CURRENCIES = 2


def active_figure(moves: Movements) -> Figure:
    active = moves.active()
    return Figure(
        key="subscriptions",
        label="Subscriptions",
        value=at_end(active),
        previous=at_start(active),
        explanation="on the last day",
    )


def churn_figure(moves: Movements) -> Figure:
    churn, before = moves.churn()
    return Figure(
        key="churn",
        label="Churn",
        value=churn,
        previous=before,
        unit=Unit.PERCENT,
        better=Better.LESS,
        explanation="of those at the start",
    )


def revenue_figures(moves: Movements) -> list[Figure]:
    """Return the recurring revenue, one figure per currency, and the subscriptions in none."""
    figures = [
        Figure(
            key=f"recurringRevenue.{currency}",
            label=f"Monthly revenue, {currency.upper()}",
            value=now,
            previous=before,
            unit=Unit.MONEY,
            explanation=f"recurring, on the last day{_without(moves, currency)}",
        )
        for currency in moves.currencies
        for now, before in [moves.recurring(currency)]
    ]
    if _has_unknown(moves):
        unknown = moves.unknown()
        figures.append(
            Figure(
                key="amountUnknown",
                label="Amount unknown",
                value=at_end(unknown),
                previous=at_start(unknown),
                better=Better.LESS,
                explanation="subscriptions, in no revenue",
            )
        )
    return figures


def _has_unknown(moves: Movements) -> bool:
    """Tell whether the amount of any subscription is unknown, so that it is in no revenue."""
    unknown = moves.unknown()
    return bool(at_end(unknown) or at_start(unknown))


def unknown_notes(moves: Movements) -> list[str]:
    """Return a note on what revenue leaves out, if anything."""
    count = at_end(moves.unknown())
    if not count:
        return []
    whose = "1 subscription whose" if count == 1 else f"{count:,} subscriptions whose"
    return [
        (
            f"Revenue leaves out {whose} monthly amount is unknown: it depends only on usage,"
            " or no event had the whole price. The true figure may be higher."
        )
    ]


def revenue_charts(moves: Movements, days: Sequence[date]) -> list[Chart]:
    """Return the recurring revenue at the end of each bucket, one chart per main currency."""
    return [
        Chart(
            key=f"recurringRevenue.{currency}",
            title=f"Monthly recurring revenue, {currency.upper()}{_without(moves, currency)}",
            kind=ChartKind.LINE,
            points=days,
            series=[Series("amount", currency.upper(), _levels(moves, currency))],
            unit=Unit.MONEY,
            currency=currency,
        )
        for currency in moves.currencies[:CHARTED_CURRENCIES]
    ]


def plan_table(moves: Movements) -> Table:
    """Return a row per plan and currency, and totals per currency."""
    rows = [_line(moves, plan, currency) for plan, currency in moves.plans]
    kept = [row for row in rows if any(row[2:6])]
    unknown = [Column("amountUnknown", "Amount unknown")] if _has_unknown(moves) else []
    return Table(
        key="plans",
        title="Subscriptions by plan",
        columns=[
            Column("plan", "Plan", Unit.TEXT),
            Column("currency", "Currency", Unit.TEXT),
            Column("subscriptions", "Subscriptions"),
            Column("share", "Share", Unit.PERCENT),
            Column("started", "Begun"),
            Column("ended", "Ended"),
            Column("churn", "Churn", Unit.PERCENT),
            Column("recurringRevenue", "Monthly revenue", Unit.MONEY),
            *unknown,
        ],
        rows=sorted(kept, key=lambda row: (-int(str(row[2])), str(row[0]))),
        totals=[_line(moves, None, currency) for currency in moves.currencies] if kept else [],
    )


def _line(moves: Movements, plan: str | None, currency: str | None) -> Row:
    where = _of(plan, currency)
    count, everything = at_end(moves.active(where)), at_end(moves.active())
    return (
        plan,
        currency.upper() if currency else None,
        count,
        count / everything if everything else None,
        moves.started(where).total,
        moves.ended(where).total,
        moves.churn(where)[0],
        moves.recurring(currency, where)[0] if currency else None,
        *([at_end(moves.unknown(where))] if _has_unknown(moves) else []),
    )


def _without(moves: Movements, currency: str) -> str:
    unknown = at_end(moves.unknown(_of(None, currency)))
    return f", without {unknown:,} of unknown amount" if unknown else ""


def _of(plan: str | None, currency: str | None) -> Where:
    return lambda one: one.currency == currency and plan in {None, one.plan}


def _levels(moves: Movements, currency: str) -> list[int]:
    return moves.revenue(lambda one: one.currency == currency).running
