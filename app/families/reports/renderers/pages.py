"""The content of both page formats, PDF and HTML: values as text, charts as drawings."""

from collections.abc import Sequence
from typing import Any

from app.families.reports.renderers import charts, formatting
from app.families.reports.report import (
    Better,
    Chart,
    Column,
    Figure,
    Report,
    Row,
    Table,
    Unit,
)

#: Rows of one table on a page; workbooks and data formats have all.
MOST_ROWS = 500
_LONGEST_TEXT, _LONGEST_NAME, _SHORT_TEXT = 120, 60, 12
_LEFT = {Unit.TEXT, Unit.DAY}


def page(report: Report) -> dict[str, Any]:
    """Return a report as strings, lists and mappings, ready for a template."""
    body = report.contents
    return {
        "title": report.title,
        "publisher": formatting.printable(report.publisher),
        "organization": subject(report),
        "period": formatting.days(report.period),
        "previous": formatting.days(report.period.previous),
        "days": _days(report),
        "generated": f"{formatting.day(report.generated_at.date())},"
        f" {report.generated_at:%H:%M} UTC",
        "empty": report.is_empty,
        "figures": [_card(figure) for figure in body.figures],
        "charts": [_chart(chart) for chart in body.charts],
        "tables": [_table(table) for table in body.tables if table.rows],
        "notes": [*_unfinished(report), *body.notes],
    }


def subject(report: Report) -> str:
    """Return whom a report is about."""
    if report.organization is None:
        return "All organizations"
    return formatting.clipped(formatting.printable(report.organization.name), _LONGEST_NAME)


def _days(report: Report) -> str:
    return "1 day" if report.period.days == 1 else f"{report.period.days} days"


def _card(figure: Figure) -> dict[str, str]:
    return {
        "label": figure.label,
        "value": formatting.text(figure.value, figure.unit),
        "previous": formatting.text(figure.previous, figure.unit),
        "change": formatting.change(figure.change, figure.unit),
        "direction": _direction(figure),
        "tone": _tone(figure),
        "explanation": figure.explanation,
    }


def _direction(figure: Figure) -> str:
    if not figure.change:
        return "level"
    return "up" if figure.change > 0 else "down"


def _tone(figure: Figure) -> str:
    if not figure.change or figure.better is Better.NEITHER:
        return "neutral"
    return "good" if (figure.change > 0) == (figure.better is Better.MORE) else "bad"


def _chart(chart: Chart) -> dict[str, str]:
    empty = chart.is_empty
    return {
        "title": chart.title,
        "alt": formatting.printable(charts.describe(chart)),
        "svg": "" if empty else charts.svg(chart),
    }


def _table(table: Table) -> dict[str, Any]:
    rows = [_cells(table.columns, row) for row in table.rows[:MOST_ROWS]]
    return {
        "title": table.title,
        "columns": [
            {
                "label": column.label,
                "align": "left" if column.unit in _LEFT else "right",
                "wide": column.unit is Unit.TEXT,
                "stretch": stretch,
            }
            for column, stretch in zip(table.columns, _stretched(table.columns, rows), strict=True)
        ],
        "rows": rows,
        "totals": [_totals(table.columns, row) for row in table.totals],
        "cut": f"The first {len(rows):,} of {table.count:,} rows."
        if len(rows) < table.count
        else "",
    }


def _stretched(columns: Sequence[Column], rows: list[list[str]]) -> list[bool]:
    """Return which columns share the remaining width: long texts, or else all numbers."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    texts = [
        column.unit is Unit.TEXT and width > _SHORT_TEXT
        for column, width in zip(columns, widths, strict=True)
    ]
    return texts if any(texts) else [column.unit not in _LEFT for column in columns]


def _cells(columns: Sequence[Column], row: Row) -> list[str]:
    return [
        formatting.clipped(formatting.text(value, column.unit), _LONGEST_TEXT)
        for column, value in zip(columns, row, strict=True)
    ]


def _totals(columns: Sequence[Column], row: Row) -> list[str]:
    """Name a row of totals in its first cell, and leave columns without a total empty."""
    first, *rest = _cells(columns, row)
    named = "Total" if row[0] is None else first
    return [named, *("" if cell == formatting.NOTHING else cell for cell in rest)]


def _unfinished(report: Report) -> list[str]:
    if report.period.end < report.generated_at.date():
        return []
    now = f"{report.generated_at:%H:%M} UTC on {formatting.day(report.generated_at.date())}"
    return [f"The period is not over: figures are as of {now}."]
