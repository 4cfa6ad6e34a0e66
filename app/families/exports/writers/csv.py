"""CSV by RFC 4180 in UTF-8, safe from formula injection, whatever the spreadsheet's separator.

Numbers, also negative ones, and timestamps are unchanged; for texts see `app.artifacts.formulas`.
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
#: A block with none of these, and no line break within a text, needs no guarding.
_MARKS = [mark.encode() for mark in SEPARATORS if mark != "\n"]


class CsvWriter(Writer):
    """NULL is an empty field; an empty text is `""`."""

    suffix = "csv"
    media_type = "text/csv; charset=utf-8"

    def select(self) -> list[ColumnElement[Any]]:
        fields = [_field(column) for column in self.columns]
        if len(fields) == 1:
            # With a single column, NULL would be an empty line, which readers skip.
            return [func.coalesce(cast(fields[0], Text), "")]
        return fields

    def begin(self) -> None:
        self.file.write(",".join(column.name for column in self.columns).encode() + b"\r\n")

    def write(self, rows: list[bytes]) -> None:
        """End rows with CRLF instead of COPY's LF; those within a quoted field stay."""
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
        """Write nothing after the last row."""


def _field(column: Column) -> ColumnElement[Any]:
    match column.kind:
        case Kind.TEXT | Kind.JSON:
            text = cast(column.expression, Text)
            first = func.ascii(text)
            return case(
                (first.in_([ord(character) for character in BREAKS]), func.concat("'", text)),
                # Few texts start with one of these; the others are not checked further.
                (first.in_(_LEADS), func.regexp_replace(text, LEADING, GUARDED)),
                else_=text,
            )
        case Kind.BOOLEAN:
            return cast(column.expression, Text)
    return column.expression
