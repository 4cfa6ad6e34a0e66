"""A report as JSON; `docs/exports-and-reports.md` lists the keys."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from app.families.reports.report import Chart, Column, Figure, Money, Report, Row, Table, Value


def render(report: Report) -> bytes:
    text = json.dumps(document(report), ensure_ascii=False, indent=2, allow_nan=False)
    return f"{text}\n".encode()


def document(report: Report) -> dict[str, Any]:
    """Return the file's content, as mappings and lists."""
    period, body = report.period, report.contents
    return {
        "reportType": report.type,
        "title": report.title,
        "publisher": report.publisher,
        "period": {
            "startDate": period.start.isoformat(),
            "endDate": period.end.isoformat(),
            "days": period.days,
        },
        "previousPeriod": {
            "startDate": period.previous.start.isoformat(),
            "endDate": period.previous.end.isoformat(),
        },
        "organization": report.organization._asdict() if report.organization else None,
        "generatedAt": report.generated_at.isoformat(timespec="seconds"),
        "empty": report.is_empty,
        "figures": [_figure(figure) for figure in body.figures],
        "charts": [_chart(chart, period.step) for chart in body.charts],
        "tables": [_table(table) for table in body.tables],
        "notes": list(body.notes),
    }


def plain(value: Value) -> Any:
    """Return a value as JSON; money is `{"amount": 2900, "currency": "usd"}`."""
    if isinstance(value, Money):
        return value._asdict()
    return value.isoformat() if isinstance(value, date) else value


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "key": figure.key,
        "label": figure.label,
        "unit": figure.unit,
        "value": plain(figure.value),
        "previous": plain(figure.previous),
        "change": figure.change,
    }


def _chart(chart: Chart, step: str) -> dict[str, Any]:
    return {
        "key": chart.key,
        "title": chart.title,
        "unit": chart.unit,
        "currency": chart.currency,
        "step": step if chart.kind != "ranking" else None,
        "points": [plain(point) for point in chart.points],
        "series": [
            {"key": series.key, "label": series.label, "values": list(series.values)}
            for series in chart.series
        ],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "key": table.key,
        "title": table.title,
        "columns": [
            {"key": column.key, "label": column.label, "unit": column.unit}
            for column in table.columns
        ],
        "rows": [_row(table.columns, row) for row in table.rows],
        "totals": [_row(table.columns, row) for row in table.totals],
        "totalRows": table.count,
    }


def _row(columns: Sequence[Column], row: Row) -> dict[str, Any]:
    return {column.key: plain(value) for column, value in zip(columns, row, strict=True)}
