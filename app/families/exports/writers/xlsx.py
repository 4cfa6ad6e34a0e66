"""XLSX: XlsxWriter makes the workbook, PostgreSQL its rows.

XlsxWriter writes rows cell by cell in Python. So it only makes a workbook with the header, and the
rows are inserted into its sheet as XML that the database writes; see `xlsx_cells`.
"""

import io
import re
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement

from app.families.exports.entity import Column, Kind
from app.families.exports.writers import xlsx_cells
from app.families.exports.writers.base import Writer

SHEET = "xl/worksheets/sheet1.xml"
#: The limits of a sheet (https://support.microsoft.com/office/excel-specifications-and-limits).
MAX_ROWS = 1_048_576

_HERE = "</sheetData>"
_WIDTHS = {Kind.INTEGER: 12, Kind.TIMESTAMP: 20, Kind.BOOLEAN: 10, Kind.TEXT: 28, Kind.JSON: 50}
_FORMULA_FREE = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}


class XlsxWriter(Writer):
    """A bold and frozen header with a filter, real dates in UTC, and texts that stay texts.

    A text too long for a cell is truncated with "…"; a number of more than 15 digits becomes a
    text, because a spreadsheet would round it.
    """

    suffix = "xlsx"
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    continues = False
    text = False
    max_rows = MAX_ROWS - 1
    # Control characters, which a row's XML never contains, so nothing is quoted or escaped.
    copy_options = r"FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01'"

    def select(self) -> list[ColumnElement[Any]]:
        return [xlsx_cells.row(self.columns)]

    def begin(self) -> None:
        self._zip = zipfile.ZipFile(self.file, "w", zipfile.ZIP_DEFLATED)  # type: ignore[call-overload] # a stream that cannot seek is enough
        self._sheet = self._zip.open(_entry(SHEET), "w", force_zip64=True)
        head = _workbook(self.title, self.columns, 0)[SHEET].partition(_HERE)[0]
        # The dimension is optional, and unknown until the end.
        self._sheet.write(re.sub("<dimension [^>]*/>", "", head).encode())

    def write(self, rows: list[bytes]) -> None:
        self.rows += len(rows)
        self._sheet.write(b"".join(rows))

    def end(self) -> None:
        """Finish the sheet, and add the other parts, which depend on the number of rows."""
        parts = _workbook(self.title, self.columns, self.rows)
        self._sheet.write("".join(parts.pop(SHEET).partition(_HERE)[1:]).encode())
        self._sheet.close()
        for name, part in parts.items():
            self._zip.writestr(_entry(name), part)
        self._zip.close()

    def abandon(self) -> None:
        for held in (self._sheet, self._zip):
            with suppress(Exception):
                held.close()


def _workbook(title: str, columns: Sequence[Column], rows: int) -> dict[str, str]:
    """Return the parts of a workbook with a header, and a filter over these rows."""
    import xlsxwriter  # noqa: PLC0415 - other formats do without

    file = io.BytesIO()
    with xlsxwriter.Workbook(file, _FORMULA_FREE) as workbook:
        sheet = workbook.add_worksheet(title)
        date = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for index, column in enumerate(columns):
            style = date if column.kind == Kind.TIMESTAMP else None
            width = max(_WIDTHS[column.kind], len(column.name) + 4)
            sheet.set_column(index, index, width, style)
        sheet.write_row(0, 0, [column.name for column in columns], workbook.add_format({"bold": 1}))
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, rows, len(columns) - 1)
        # For print: fit to the page's width, with the header on each page.
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
    with zipfile.ZipFile(file) as made:
        return {name: made.read(name).decode() for name in made.namelist()}


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
