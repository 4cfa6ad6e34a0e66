"""The formats of reports."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from marshmallow import ValidationError

from app.families.reports.renderers import csv_file, html_page, json_document, pdf, workbook
from app.families.reports.report import Report
from app.jobs.kit import hint

Render = Callable[[Report], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """One format; its name is also the file's suffix."""

    name: str
    media_type: str
    description: str
    render: Render


_ALL = (
    Format("pdf", "application/pdf", "For print: cards, charts, tables (needs typst)", pdf.render),
    Format("html", "text/html; charset=utf-8", "One page, without scripts", html_page.render),
    Format("xlsx", workbook.MEDIA_TYPE, "A sheet per table, native charts", workbook.render),
    Format("csv", "text/csv; charset=utf-8", "One value per line", csv_file.render),
    Format("json", "application/json", "All of it, for machines", json_document.render),
)
FORMATS = {format_.name: format_ for format_ in _ALL}


def get_format(name: str) -> Format:
    """Return a format.

    Raises:
        ValidationError: Unknown name (the message suggests the nearest), or a format whose library
            is not installed.
    """
    if name not in FORMATS:
        raise ValidationError(f"Unknown format {name!r}; {hint(name, FORMATS)}")
    if name == "pdf" and find_spec("typst") is None:
        raise ValidationError(
            "Needs typst, which is not installed: pip install '.[pdf]'; or choose another format."
        )
    return FORMATS[name]
