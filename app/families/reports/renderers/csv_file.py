"""A report as CSV: one value per line, so that every report type has the same columns.

    part,name,row,field,value,unit,currency

`part` is report, figure, chart, table or total; `name` is the key of that part; `row` is a table's
row, counted from 1, or a chart's point; `field` is the column or series. Money is in major units,
with its currency. A text that a spreadsheet would take for a formula starts with an apostrophe.
"""

import csv
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from io import StringIO

from app.accounts import currencies
from app.artifacts.formulas import guarded
from app.families.reports.report import Chart, Money, Report, Row, Table, Unit, Value

HEAD = ("part", "name", "row", "field", "value", "unit", "currency")

Line = tuple[str, ...]


def render(report: Report) -> bytes:
    file = StringIO()
    writer = csv.writer(file)
    writer.writerow(HEAD)
    writer.writerows(_lines(report))
    return file.getvalue().encode()


def decimal(value: Money) -> Decimal:
    """Return an amount in the currency's major unit, exactly."""
    return currencies.major(value.amount, value.currency)


def _lines(report: Report) -> Iterator[Line]:
    yield from _about(report)
    for figure in report.contents.figures:
        for field in ("value", "previous"):
            yield _line(("figure", figure.key, "", field), getattr(figure, field), figure.unit)
        yield _line(("figure", figure.key, "", "change"), figure.change, Unit.PERCENT)
    for chart in report.contents.charts:
        yield from _chart(chart)
    for table in report.contents.tables:
        yield from _table(table)


def _about(report: Report) -> Iterator[Line]:
    subject = report.organization
    texts = {
        "reportType": report.type,
        "title": report.title,
        "publisher": report.publisher,
        "organizationId": str(subject.id) if subject else "",
        "organization": subject.name if subject else "",
        "generatedAt": report.generated_at.isoformat(timespec="seconds"),
    }
    for field, text in texts.items():
        yield _line(("report", report.type, "", field), text, Unit.TEXT)
    yield _line(("report", report.type, "", "startDate"), report.period.start, Unit.DAY)
    yield _line(("report", report.type, "", "endDate"), report.period.end, Unit.DAY)


def _chart(chart: Chart) -> Iterator[Line]:
    for series in chart.series:
        for point, value in zip(chart.points, series.values, strict=True):
            where = ("chart", chart.key, guarded(str(point)), series.key)
            yield _line(where, chart.valued(value), chart.unit)


def _table(table: Table) -> Iterator[Line]:
    for part, rows in (("table", table.rows), ("total", table.totals)):
        for number, row in enumerate(rows, 1):
            yield from _cells(part, table, number, row)


def _cells(part: str, table: Table, number: int, row: Row) -> Iterator[Line]:
    for column, value in zip(table.columns, row, strict=True):
        yield _line((part, table.key, str(number), column.key), value, column.unit)


def _line(where: tuple[str, str, str, str], value: Value, unit: Unit) -> Line:
    currency = value.currency if isinstance(value, Money) else ""
    return (*where, _text(value), unit, currency)


def _text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Money):
        return str(decimal(value))
    if isinstance(value, str):
        return guarded(value)
    return value.isoformat() if isinstance(value, date) else str(value)
