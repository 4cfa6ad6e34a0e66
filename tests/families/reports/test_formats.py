"""Page, workbook, CSV and JSON, each reopened by an independent reader."""

import csv
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pdfplumber
import pytest

from app.families.reports.renderers import csv_file, html_page, json_document, workbook
from app.families.reports.report import Money
from tests.families.reports.sample import EMPTY, FORMULA, FULL, PLANS
from tests.families.reports.world import NASTY
from tests.support.libreoffice import convert, needs_libreoffice


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html_page.render(FULL))


def test_the_page_has_every_figure_row_and_total(page: Page) -> None:
    for text in ("1,234", "+23.4%", "$1,234.56", "¥5,000", "2 Jan 2026", "$9,900.00", "Total"):
        assert text in page.texts
    assert "Row 500" in page.texts
    assert "Row 501" not in page.texts
    assert any(text.startswith("The first 500 of 7,000 rows.") for text in page.texts)


def test_the_page_runs_and_fetches_nothing_whatever_a_name_says(page: Page) -> None:
    assert NASTY in page.texts
    assert not page.count("script")
    links = [attrs.get("href") or attrs.get("src") for _, attrs in page.tags]
    assert set(links) == {None, "data:,"}
    policies = [attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs]
    assert policies
    assert str(policies[0]).startswith("default-src 'none'")


def test_every_chart_says_in_words_what_it_shows(page: Page) -> None:
    assert page.count("svg") == page.count("title") - 1 == 4
    assert "Sign-ups by day. Sign-ups: lowest 1, highest 9, last 9." in page.texts
    assert "None in this period" in page.texts


def test_every_cell_of_a_table_has_a_header(page: Page) -> None:
    scopes = {attrs.get("scope") for tag, attrs in page.tags if tag == "th"}

    assert scopes == {"col", "row"}


def test_a_page_without_data_says_so() -> None:
    empty = Page(html_page.render(EMPTY))

    assert "No data in this period" in empty.texts
    assert not empty.count("svg")


@pytest.fixture(scope="module")
def book() -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(workbook.render(FULL)))


def test_the_workbook_has_a_sheet_for_each_table_beside_summary_and_charts(
    book: openpyxl.Workbook,
) -> None:
    assert book.sheetnames == ["Summary", "Charts", "Subscriptions by plan", "Many rows"]
    assert book["Many rows"].max_row == 603  # head, 600 rows, and a word on the others


def test_the_workbooks_values_are_numbers_days_and_texts(book: openpyxl.Workbook) -> None:
    rows = list(book["Subscriptions by plan"].iter_rows(values_only=True))

    assert rows[1] == (NASTY, 1200, 0.75, datetime(2026, 1, 2), 9900)  # noqa: DTZ001 - no zone there
    assert rows[2][4] == -123.45
    assert rows[3] == ("Total", 1600, 1, None, 9900)
    assert book["Summary"]["B8"].value == 1234.56
    assert book["Summary"]["B8"].number_format == '#,##0.00 "USD"'


def test_the_workbook_makes_no_formula_of_a_text(book: openpyxl.Workbook) -> None:
    cell = book["Subscriptions by plan"]["A3"]

    assert (cell.value, cell.data_type) == (FORMULA, "s")


def test_the_workbook_draws_a_native_chart_of_all_that_has_data(book: openpyxl.Workbook) -> None:
    assert len(book["Charts"]._charts) == 4


def test_the_summarys_notes_are_wrapped_under_the_figures() -> None:
    notes = ("Short.", "How it is counted. " * 12)
    report = replace(FULL, contents=replace(FULL.contents, notes=notes))
    sheet = openpyxl.load_workbook(io.BytesIO(workbook.render(report)))["Summary"]
    written = sheet["A"][-len(notes) :]

    assert [cell.value for cell in written] == list(notes)
    assert all(cell.alignment.wrap_text for cell in written)
    merged = {str(area) for area in sheet.merged_cells.ranges}
    assert merged == {f"A{cell.row}:D{cell.row}" for cell in written}
    assert sheet.row_dimensions[written[1].row].height == 45


def test_a_workbook_without_data_opens_and_says_so() -> None:
    empty = openpyxl.load_workbook(io.BytesIO(workbook.render(EMPTY)))

    texts = [cell.value for row in empty["Summary"].iter_rows() for cell in row]
    assert "No data was found in this period." in texts


@pytest.fixture(scope="module")
def lines() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_file.render(FULL).decode(), newline="")))


def values(lines: list[dict[str, str]], **wanted: str) -> list[str]:
    return [line["value"] for line in lines if wanted.items() <= line.items()]


def test_the_csv_has_every_value_once_under_its_name(lines: list[dict[str, str]]) -> None:
    assert values(lines, part="figure", name="signUps") == ["1234", "1000", "0.234"]
    assert values(lines, part="figure", name="revenue.usd", field="value") == ["1234.56"]
    assert values(lines, part="chart", name="signUps", row="2026-10-06") == ["5"]
    assert values(lines, part="table", name="plans", row="1", field="revenue") == ["9900.00"]
    assert values(lines, part="total", name="plans", field="count") == ["1600"]
    assert len(values(lines, part="table", name="long", field="number")) == 600


def test_the_csv_keeps_a_spreadsheet_from_running_a_text(lines: list[dict[str, str]]) -> None:
    assert values(lines, part="table", name="plans", row="2", field="plan") == [f"'{FORMULA}"]
    assert values(lines, part="table", name="plans", row="2", field="revenue") == ["-123.45"]


def test_money_in_the_csv_has_the_decimals_and_the_name_of_its_currency(
    lines: list[dict[str, str]],
) -> None:
    [yen] = [line for line in lines if line["name"] == "revenue.jpy" and line["field"] == "value"]

    assert (yen["value"], yen["unit"], yen["currency"]) == ("5000", "money", "jpy")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json_document.render(FULL))
    return loaded


def test_the_json_names_what_it_is_about(document: dict[str, Any]) -> None:
    assert document["period"] == {"startDate": "2026-10-01", "endDate": "2026-10-07", "days": 7}
    assert document["organization"] == {"id": 7, "name": NASTY}
    assert document["empty"] is False


def test_the_json_has_money_in_the_smallest_unit_and_rows_by_column(
    document: dict[str, Any],
) -> None:
    figures = {figure["key"]: figure for figure in document["figures"]}
    plans = document["tables"][0]

    assert figures["revenue.usd"]["value"] == {"amount": 123456, "currency": "usd"}
    assert figures["churn"]["change"] == pytest.approx(-0.005)
    assert plans["rows"][1] == {
        "plan": FORMULA,
        "count": 400,
        "share": 0.25,
        "since": "2026-03-04",
        "revenue": {"amount": -12345, "currency": "eur"},
    }
    assert document["tables"][1]["totalRows"] == 7000
    assert document["charts"][0]["series"][0]["values"] == [3, 1, None, 4, 1, 5, 9]


def test_fault_A20_headers_stand_over_their_values(book: openpyxl.Workbook) -> None:
    for name in ("Subscriptions by plan", "Summary"):
        sheet = book[name]
        line = 5 if name == "Summary" else 1
        for head, cell in zip(sheet[line], sheet[line + 1], strict=True):
            text = isinstance(cell.value, str) or cell.is_date
            assert head.alignment.horizontal == ("left" if text else "right"), head.value
            assert (cell.alignment.horizontal or head.alignment.horizontal) == (
                head.alignment.horizontal
            )


def test_fault_A20_a_change_of_a_percentage_is_said_in_points(book: openpyxl.Workbook) -> None:
    changes = {row[0].value: row[3] for row in book["Summary"]["A6:D10"]}

    assert changes["Churn"].value == pytest.approx(-0.5)
    assert "pp" in changes["Churn"].number_format
    assert changes["Sign-ups"].value == pytest.approx(0.234)
    assert changes["Sign-ups"].number_format.startswith("+0.0%")
    assert changes["Duration"].value is None


def test_fault_D11_a_workbook_has_a_format_for_each_style_and_not_for_each_cell() -> None:
    rows = [("Row", n, 0.5, date(2026, 1, 2), Money(n, "usd")) for n in range(500)]
    plans = replace(PLANS, rows=rows)
    made = workbook.render(replace(FULL, contents=replace(FULL.contents, tables=[plans])))

    with zipfile.ZipFile(io.BytesIO(made)) as parts:
        styles = parts.read("xl/styles.xml").decode()
    assert int(re.search(r'<cellXfs count="(\d+)"', styles)[1]) < 30  # type: ignore[index]


@needs_libreoffice
def test_fault_A20_on_paper_each_chart_is_whole_and_beside_its_data(tmp_path: Path) -> None:
    charts = [chart for chart in FULL.contents.charts if not chart.is_empty]
    contents = replace(FULL.contents, charts=charts, tables=[])
    file = tmp_path / "report.xlsx"
    file.write_bytes(workbook.render(replace(FULL, contents=contents)))

    with pdfplumber.open(convert(file, "pdf")) as printed:
        pages = [page.extract_text() for page in printed.pages]

    assert len(pages) == 1 + 2  # the summary, and two charts a page
    for chart in charts:
        [page] = [page for page in pages if f"{chart.title}\n" in f"{page}\n"]
        assert page.count(chart.title) == 2  # over the data and over the drawing
        assert all(series.label in page for series in chart.series)
