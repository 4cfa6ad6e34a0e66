"""The PDF, reopened by pdfplumber."""

import io
import re
from collections.abc import Iterator

import pdfplumber
import pytest
from marshmallow import ValidationError
from pdfplumber.pdf import PDF

from app.families.reports import formats
from app.families.reports.renderers import pdf
from tests.families.reports.conftest import NASTY
from tests.families.reports.sample import EMPTY, FULL


@pytest.fixture(scope="module")
def opened() -> Iterator[PDF]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.families.reports.pages.MOST_ROWS", 40)  # fewer are read faster
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
    letters = re.sub(r"\s|\u200b", "", "".join(pages))

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


def test_it_is_tagged_for_screen_readers_and_names_its_language(opened: PDF) -> None:
    catalog = opened.doc.catalog

    assert catalog["MarkInfo"]["Marked"] is True
    assert catalog["Lang"] == b"en"
