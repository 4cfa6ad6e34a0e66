"""The PDF, reopened by pdfplumber."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pdfplumber
import pytest
from marshmallow import ValidationError
from pdfplumber.pdf import PDF

from app.families.reports.renderers import formats, pdf
from app.families.reports.report import ChartKind, Contents, Series, Subject, Table
from tests.families.reports.sample import EMPTY, FULL, LONG
from tests.families.reports.world import NASTY


@pytest.fixture(scope="module")
def opened() -> Iterator[PDF]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.families.reports.renderers.pages.MOST_ROWS", 40)  # fewer are read faster
        content = pdf.render(FULL)
    with pdfplumber.open(io.BytesIO(content)) as document:
        yield document


@pytest.fixture(scope="module")
def pages(opened: PDF) -> list[str]:
    return [page.extract_text() for page in opened.pages]


def test_it_tells_every_figure_with_its_change_and_what_was_before(pages: list[str]) -> None:
    first = pages[0]

    for shown in ("1,234", "+23.4% from 1,000", "2.5%", "$1,234.56", "¥5,000", "1.50"):
        assert shown in first.replace("\u00a0", " ")
    assert "−0.5 pp from 3.0%" in first.replace("\u00a0", " ")  # noqa: RUF001 - a minus


def test_every_page_names_period_organization_and_its_number(pages: list[str]) -> None:
    for number, text in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in text
        assert "1–7 Oct 2026" in text  # noqa: RUF001 - an en dash
        assert "#evil() $x$" in text


def test_what_typst_would_run_is_printed_as_it_is(pages: list[str]) -> None:
    letters = re.sub(r"\s", "", "".join(pages))

    assert re.sub(r"\s", "", NASTY) in letters


def test_tables_have_their_rows_totals_and_a_word_on_what_was_left_out(pages: list[str]) -> None:
    text = "\n".join(pages)

    assert re.search(r"Total 1,600 100\.0% \$9,900\.00", text)
    assert "Row 40 40" in text
    assert "Row 41" not in text
    assert "The first 40 of 7,000 rows." in text


def test_charts_are_vectors_and_one_without_data_says_so(opened: PDF, pages: list[str]) -> None:
    assert not any(page.images for page in opened.pages)
    assert sum(len(page.curves) + len(page.rects) for page in opened.pages[:2]) > 20
    assert "None in this period" in " ".join(pages[:2])


def test_every_font_is_embedded(opened: PDF) -> None:
    fonts = {font for page in opened.pages for font in {char["fontname"] for char in page.chars}}

    assert fonts
    # A subset's name has six letters before it; a font that is only named has none.
    assert all(re.match(r"[A-Z]{6}\+", font) for font in fonts)


def test_its_properties_name_title_author_and_date(opened: PDF) -> None:
    assert opened.metadata["Title"].startswith("Monthly analytics")
    assert opened.metadata["Author"] == "Acme & Söhne"
    assert opened.metadata["CreationDate"].startswith("D:20261102093000")


def test_a_period_without_data_is_said_in_words() -> None:
    with pdfplumber.open(io.BytesIO(pdf.render(EMPTY))) as document:
        [page] = document.pages
        text = page.extract_text()

    assert "No data in this period" in text
    assert "Sign-ups" not in text


def test_without_typst_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: None)

    with pytest.raises(ValidationError, match=r"pip install '\.\[pdf\]'"):
        formats.get_format("pdf")


def of(**changes: Any) -> list[str]:
    """Return the pages of the sample with other contents, as text."""
    name = changes.pop("name", NASTY)
    report = replace(
        FULL, organization=Subject(7, name), contents=replace(FULL.contents, **changes)
    )
    with pdfplumber.open(io.BytesIO(pdf.render(report))) as document:
        return [page.extract_text() for page in document.pages]


def rows(count: int) -> Table:
    cells = [(f"Row {n}", n) for n in range(1, count + 1)]
    return replace(LONG, title=f"Table of {count}", rows=cells, total_rows=None)


def test_fault_D10_a_copy_of_a_long_name_is_the_name() -> None:
    name = "anameofmanylettersandnospaceatallwithinit"

    pages = of(name=name, tables=[], charts=[])

    assert name in pages[0].replace("\n", "")
    assert not any(mark in page for page in pages for mark in "\u200b\u00ad\u2060")


def test_fault_K13_a_name_from_right_to_left_turns_nothing_beside_it() -> None:
    footer = of(name="מכבי תל אביב", tables=[], charts=[])[0].splitlines()[-1]

    # pdfplumber reads letters from left to right as they stand on paper.
    assert footer == "ביבא לת יבכמ · 1–7 Oct 2026 Page 1 of 1"  # noqa: RUF001 - an en dash


def test_fault_A20_a_small_table_stands_on_one_page() -> None:
    pages = of(charts=[], tables=[rows(n) for n in (14, 4, 14, 4, 14, 4)])

    for table in (4, 14):
        for page in pages:
            assert page.count("Row 1 1\n") == page.count("Row 4 4")
            assert page.count(f"Table of {table}") <= page.count(f"Row {table} {table}")
    assert len(pages) > 1


@pytest.mark.parametrize("notes", [*range(20, 34)])
def test_fault_A20_no_page_has_but_a_note(notes: int) -> None:
    last = of(charts=[], tables=[rows(4)], notes=["How it is counted."] * notes)[-1]

    assert last.count("How it is counted.") == notes
    assert "How to read this" in last


def test_fault_A20_a_chart_with_data_on_one_day_alone_shows_it() -> None:
    lone = [
        replace(chart, series=[Series("amount", "Amount", [None] * 6 + [5])])
        for chart in FULL.contents.charts
        if chart.kind in {ChartKind.AREA, ChartKind.LINE}
    ]
    report = replace(FULL, contents=Contents(figures=[], tables=[], charts=lone))

    with pdfplumber.open(io.BytesIO(pdf.render(report))) as document:
        drawn = [*document.pages[0].lines, *document.pages[0].curves]
    blue = [line for line in drawn if line["linewidth"] > 1 and line["width"] > 0]
    assert len([line for line in blue if line["width"] < 4]) == len(lone)  # points


def test_it_is_tagged_for_screen_readers_and_names_its_language(opened: PDF) -> None:
    catalog = opened.doc.catalog

    assert catalog["MarkInfo"]["Marked"] is True
    assert catalog["Lang"] == b"en"
