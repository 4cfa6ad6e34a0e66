"""CSV by RFC 4180 in UTF-8; a spreadsheet runs nothing of it, whatever separates its cells.

Numbers and timestamps stay as they are, also negative ones; of texts, see `app.artifacts.formulas`.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, func

from app.artifacts.formulas import (
    BREAKS,
    GUARDED,
    LEADING,
    SEPARATORS,
    SIGNS,
    guarded_within,
)
from app.families.exports.entity import Column, Kind
from app.families.exports.writers.base import Writer

BOM = "\ufeff".encode()
_LEADS = [ord(character) for character in (*SIGNS, " ", '"')]
#: A block without any of these, and without a line break in a text, has nothing to guard within.
_MARKS = [mark.encode() for mark in SEPARATORS if mark != "\n"]


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
        broken = block.count(b"\n") > len(rows)
        if broken or any(mark in block for mark in _MARKS):
            rows = [guarded_within(row) for row in rows]
            block = b"".join(rows)
        if broken:
            self.file.write(b"\r\n".join([*(row[:-1] for row in rows), b""]))
        else:
            self.file.write(block.replace(b"\n", b"\r\n"))

    def end(self) -> None:
        """Write nothing: the last row is the end."""


def _field(column: Column) -> ColumnElement[Any]:
    match column.kind:
        case Kind.TEXT | Kind.JSON:
            text = cast(column.expression, Text)
            first = func.ascii(text)
            return case(
                (first.in_([ord(character) for character in BREAKS]), func.concat("'", text)),
                # Few texts begin so; the others need no costly look.
                (first.in_(_LEADS), func.regexp_replace(text, LEADING, GUARDED)),
                else_=text,
            )
        case Kind.BOOLEAN:
            return cast(column.expression, Text)
    return column.expression
