"""A report as XLSX: a summary, the charts with their data, and a sheet per table."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from app.accounts import currencies
from app.families.reports.renderers import formatting
from app.families.reports.renderers.csv_file import decimal
from app.families.reports.report import (
    Chart,
    ChartKind,
    Column,
    Figure,
    Money,
    Report,
    Row,
    Table,
    Unit,
    Value,
)

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_NUMBERS = {
    Unit.COUNT: "#,##0",
    Unit.PERCENT: "0.0%",
    Unit.SECONDS: '#,##0.000" s"',
    Unit.DAY: "yyyy-mm-dd",
    Unit.TEXT: "@",
}
#: A change, as on the pages: for a percentage in points.
_CHANGE, _POINTS = '+0.0%;-0.0%;"±0.0%"', '+0.0" pp";-0.0" pp";"±0.0 pp"'
_LEFT = {Unit.TEXT, Unit.DAY}
_KINDS = {
    ChartKind.AREA: {"type": "area"},
    ChartKind.LINE: {"type": "line"},
    ChartKind.BAR: {"type": "column"},
    ChartKind.STACK: {"type": "column", "subtype": "stacked"},
    ChartKind.RANKING: {"type": "bar"},
}
#: Rows between one chart's data and the next: at least the chart's height.
_CHART_ROWS, _COLOURS = 16, ("#2456c7", "#d9622b", "#1d8a7a", "#8a4fb3")
#: The scale in percent at which charts and their data fit across a page, and its rows then.
_PRINT_SCALE, _PRINT_ROWS = 65, 46
_A4, _FOOTER = 9, "&L&A&RPage &P of &N"
#: Characters of a note that fit on one line in the summary's four columns.
_NOTE_CHARACTERS = 94
#: Amounts from here on have more digits than a cell can hold.
_EXACT = 10**15


def render(report: Report) -> bytes:
    from xlsxwriter import Workbook  # noqa: PLC0415 - only who writes a workbook needs it

    file = BytesIO()
    # Texts stay texts: they never become formulas, links or numbers.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with Workbook(file, options) as workbook:
        workbook.set_properties(
            {"title": report.title, "author": report.publisher, "created": report.generated_at}
        )
        styles = Styles(workbook)
        _summary(workbook.add_worksheet("Summary"), report, styles)
        _charts(workbook, report.contents.charts, styles)
        for table in report.contents.tables:
            _table(workbook.add_worksheet(_sheet_name(table.title)), table, styles)
    return file.getvalue()


class Styles:
    """Cell formats, each created once."""

    def __init__(self, workbook: "Workbook") -> None:
        self._workbook = workbook
        self._made: dict[str, Format] = {}

    def get(self, **style: Any) -> "Format":
        key = repr(sorted(style.items()))
        if key not in self._made:
            self._made[key] = self._workbook.add_format(style)
        return self._made[key]

    def value(self, value: Value, unit: Unit, **style: Any) -> "Format":
        if isinstance(value, Money):
            zeros = currencies.decimals(value.currency)
            number = f'#,##0{"." * bool(zeros)}{"0" * zeros} "{value.currency.upper()}"'
            return self.get(num_format=number, **style)
        if unit is Unit.DAY:
            style["align"] = "left"
        return self.get(num_format=_NUMBERS.get(unit, "General"), **style)

    def put(
        self, sheet: "Worksheet", at: tuple[int, int], value: Value, unit: Unit, **style: Any
    ) -> None:
        """Write a value as a number, a date or a text."""
        format_ = self.value(value, unit, **style)
        if value is None:
            sheet.write_blank(*at, None, format_)
        elif isinstance(value, Money) and abs(value.amount) >= _EXACT:
            # A cell's number has 15 digits; the rest would be wrong.
            sheet.write_string(*at, formatting.money(value), format_)
        elif isinstance(value, Money):
            sheet.write_number(*at, decimal(value), format_)
        elif isinstance(value, date):
            sheet.write_datetime(*at, value, format_)
        elif isinstance(value, str):
            sheet.write_string(*at, formatting.printable(value), format_)
        else:
            sheet.write_number(*at, value, format_)


def _summary(sheet: "Worksheet", report: Report, styles: Styles) -> None:
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 3, 20)
    sheet.write_string(0, 0, report.title, styles.get(bold=True, font_size=18))
    organization = report.organization.name if report.organization else "All organizations"
    sheet.write_string(1, 0, formatting.printable(organization), styles.get(bold=True))
    sheet.write_string(2, 0, f"{formatting.days(report.period)} (UTC), {report.publisher}")
    head = ("This period", formatting.days(report.period.previous), "Change")
    _head(sheet, 4, [("Figure", Unit.TEXT), *((label, Unit.COUNT) for label in head)], styles)
    for line, figure in enumerate(report.contents.figures, 5):
        styles.put(sheet, (line, 0), figure.label, Unit.TEXT)
        styles.put(sheet, (line, 1), figure.value, figure.unit, bold=True)
        styles.put(sheet, (line, 2), figure.previous, figure.unit)
        _change(sheet, (line, 3), figure, styles)
    notes = [*(["No data was found in this period."] if report.is_empty else [])]
    first = 6 + len(report.contents.figures)
    for line, note in enumerate([*notes, *report.contents.notes], first):
        # Wrapped under the figures: a long line would shrink the whole printed page.
        style = styles.get(font_color="#5b6675", italic=True, text_wrap=True, valign="top")
        sheet.merge_range(line, 0, line, 3, note, style)
        sheet.set_row(line, 15 * -(-len(note) // _NOTE_CHARACTERS))
    _paper(sheet, landscape=False)


def _change(sheet: "Worksheet", at: tuple[int, int], figure: Figure, styles: Styles) -> None:
    if figure.change is None:
        return
    points = figure.unit is Unit.PERCENT
    value = figure.change * 100 if points else figure.change
    sheet.write_number(*at, value, styles.get(num_format=_POINTS if points else _CHANGE))


def _charts(workbook: "Workbook", charts: Sequence[Chart], styles: Styles) -> None:
    sheet = workbook.add_worksheet("Charts")
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 4, 18)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    # Not fitted to the page's width: Excel would ignore the breaks between charts.
    sheet.set_print_scale(_PRINT_SCALE)
    sheet.set_footer(_FOOTER)
    line, page, breaks = 0, 0, list[int]()
    for chart in charts:
        height = max(len(chart.points) + 4, _CHART_ROWS + 2)
        if line > page and line + height > page + _PRINT_ROWS:
            breaks.append(line)
            page = line
        sheet.write_string(line, 0, chart.title, styles.get(bold=True, font_size=13))
        _data(sheet, line + 1, chart, styles)
        if not chart.is_empty:
            _draw(workbook, sheet, line + 1, chart)
        line += height
    sheet.set_h_pagebreaks(breaks)


def _data(sheet: "Worksheet", line: int, chart: Chart, styles: Styles) -> None:
    ranking = chart.kind is ChartKind.RANKING
    labels = [("" if ranking else "From", Unit.TEXT)]
    _head(sheet, line, [*labels, *((s.label, chart.unit) for s in chart.series)], styles)
    points: Sequence[Value] = chart.points
    for row, point in enumerate(points, line + 1):
        styles.put(sheet, (row, 0), point, Unit.TEXT if ranking else Unit.DAY)
        for column, series in enumerate(chart.series, 1):
            value = series.values[row - line - 1]
            styles.put(sheet, (row, column), chart.valued(value), chart.unit)


def _draw(workbook: "Workbook", sheet: "Worksheet", line: int, chart: Chart) -> None:
    kind = chart.kind
    if kind is ChartKind.AREA and chart.has_lone_values:
        kind = ChartKind.LINE  # an area of one point would be invisible
    drawn: Any = workbook.add_chart(dict(_KINDS[kind]))
    first, last = line + 1, line + len(chart.points)
    for column, colour in zip(range(1, len(chart.series) + 1), _COLOURS, strict=False):
        dot = {"type": "circle", "size": 4, "fill": {"color": colour}, "border": {"color": colour}}
        lined = {"line": {"color": colour, "width": 2}, "marker": dot}
        drawn.add_series(
            {
                "name": [sheet.get_name(), line, column],
                "categories": [sheet.get_name(), first, 0, last, 0],
                "values": [sheet.get_name(), first, column, last, column],
                "fill": {"color": colour},
                "gap": 40,
                **(lined if kind is ChartKind.LINE else {}),
            }
        )
    drawn.set_title({"name": chart.title, "name_font": {"size": 12}})
    drawn.set_legend({"none": True} if len(chart.series) == 1 else {"position": "bottom"})
    ranking = chart.kind is ChartKind.RANKING
    drawn.set_x_axis({} if ranking else {"date_axis": True, "num_format": "d mmm"})
    drawn.set_y_axis({"reverse": True} if ranking else {"min": 0})
    drawn.set_size({"width": 620, "height": 300})
    beside = {"description": chart.title, "x_offset": 20}
    sheet.insert_chart(line, len(chart.series) + 1, drawn, beside)


def _table(sheet: "Worksheet", table: Table, styles: Styles) -> None:
    _head(sheet, 0, [(column.label, column.unit) for column in table.columns], styles)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(len(table.rows), 1), len(table.columns) - 1)
    for index, column in enumerate(table.columns):
        sheet.set_column(index, index, 34 if column.unit is Unit.TEXT else 18)
    for line, row in enumerate(table.rows, 1):
        _row(sheet, line, table.columns, row, put=styles.put)
    total = partial(styles.put, bold=True, top=1)
    for line, row in enumerate(table.totals, len(table.rows) + 1):
        named: Row = ("Total", *row[1:]) if row[0] is None else row
        _row(sheet, line, table.columns, named, put=total)
    if table.count > len(table.rows):
        said = f"The first {len(table.rows):,} of {table.count:,} rows."
        sheet.write_string(len(table.rows) + len(table.totals) + 2, 0, said)
    _paper(sheet, landscape=True)
    sheet.repeat_rows(0)


def _row(
    sheet: "Worksheet", line: int, columns: Sequence[Column], row: Row, *, put: Callable[..., None]
) -> None:
    for index, (column, value) in enumerate(zip(columns, row, strict=True)):
        unit = Unit.TEXT if isinstance(value, str) else column.unit
        put(sheet, (line, index), value, unit)


def _head(
    sheet: "Worksheet", line: int, labels: Sequence[tuple[str, Unit]], styles: Styles
) -> None:
    """Write headers, each aligned like its column's values."""
    style = {"bold": True, "bottom": 1, "bg_color": "#eef2f9", "text_wrap": True, "valign": "top"}
    for column, (label, unit) in enumerate(labels):
        align = "left" if unit in _LEFT else "right"
        sheet.write_string(line, column, label, styles.get(**style, align=align))


def _paper(sheet: "Worksheet", *, landscape: bool) -> None:
    if landscape:
        sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer(_FOOTER)


def _sheet_name(title: str) -> str:
    r"""Return the title within Excel's rules: 31 characters, none of []:*?/\\."""
    return "".join("-" if char in "[]:*?/\\" else char for char in title)[:31]
