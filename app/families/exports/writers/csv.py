"""CSV by RFC 4180 in UTF-8; a spreadsheet runs nothing of it, whatever separates its cells.

Numbers and timestamps stay as they are, also negative ones; of texts, see `app.artifacts.formulas`.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, func

from app.artifacts.formulas import BREAKS, FORMULA, GUARDED
from app.families.exports.entity import Column, Kind
from app.families.exports.writers.base import Writer

BOM = "\ufeff".encode()


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
            # Two cheap looks first: few texts have anything to guard.
            safe = func.regexp_replace(text, FORMULA, GUARDED, "g")
            broken = func.ascii(text).in_([ord(character) for character in BREAKS])
            return case(
                (broken, func.concat("'", safe)), (text.regexp_match(FORMULA), safe), else_=text
            )
        case Kind.BOOLEAN:
            return cast(column.expression, Text)
    return column.expression
