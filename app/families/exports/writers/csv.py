"""CSV by RFC 4180 in UTF-8, safe to open in a spreadsheet.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break for a formula
(https://owasp.org/www-community/attacks/CSV_Injection), and the full-width forms likewise. Texts
that do get an apostrophe in front. Numbers and timestamps stay as they are, also negative ones.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, func

from app.families.exports.entity import Column, Kind
from app.families.exports.writers.base import Writer

BOM = "\ufeff".encode()
FORMULA_STARTS = [ord(character) for character in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"]


class CsvWriter(Writer):
    """NULL is an empty field; an empty text is `""`."""

    suffix = "csv"
    media_type = "text/csv; charset=utf-8"

    def select(self) -> list[ColumnElement[Any]]:
        fields = [_field(column) for column in self.columns]
        if len(fields) == 1:
            # The NULL of an only column would be an empty line, which readers skip.
            return [func.coalesce(cast(fields[0], Text), "")]
        return fields

    def begin(self) -> None:
        self.file.write(",".join(column.name for column in self.columns).encode() + b"\r\n")

    def write(self, rows: list[bytes]) -> None:
        """Write CRLF where COPY ended a row with LF; one within a quoted field stays what it is."""
        block = b"".join(rows)
        if block.count(b"\n") == len(rows):
            self.file.write(block.replace(b"\n", b"\r\n"))
        else:
            self.file.write(b"\r\n".join([*(row[:-1] for row in rows), b""]))

    def end(self) -> None:
        """Write nothing: the last row is the end."""


def _field(column: Column) -> ColumnElement[Any]:
    match column.kind:
        case Kind.TEXT | Kind.JSON:
            text = cast(column.expression, Text)
            return case((func.ascii(text).in_(FORMULA_STARTS), func.concat("'", text)), else_=text)
        case Kind.BOOLEAN:
            return cast(column.expression, Text)
    return column.expression
