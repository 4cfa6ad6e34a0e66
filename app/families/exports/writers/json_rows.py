r"""JSON objects, made from a block of rows at a time.

PostgreSQL takes more than twice as long to write a row as one JSON text as to send its columns. So
COPY sends columns, with texts in `"` and escaped by `\` as in JSON, and one template, repeated for
all rows of a block, makes objects of them. Nothing here runs per row, unless its values need it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any

from sqlalchemy import ColumnElement, Date, Text, Time, cast

from app.families.exports.entity import Column, Kind

_DELIMITER = b"\x02"
_NULL = b"null"
_CONTROLS = bytes(range(32))
_CONTROL = re.compile(rb"[\x00-\x1f]")
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TIMESTAMP = b'"%bT%b+00:00"'


class JsonRows:
    """Says what COPY sends of each row, and makes objects of it.

    Args:
        columns: The objects' columns.
        opening: The text before the first name.
    """

    def __init__(self, columns: Sequence[Column], opening: str = "{") -> None:
        self.selected: list[ColumnElement[Any]] = []
        self._columns: list[tuple[bytes, Kind, int]] = []
        for before, column in zip(chain([opening], repeat(",")), columns, strict=False):
            name = f"{before}{json.dumps(column.name)}:".replace("%", "%%")
            self._columns.append((name.encode(), column.kind, len(self.selected)))
            self.selected += _sent(column)
        self.selected = [sent.label(f"c{index}") for index, sent in enumerate(self.selected)]

    @property
    def copy_options(self) -> str:
        options = r"FORMAT csv, DELIMITER E'\x02', ESCAPE E'\\', NULL 'null'"
        texts = [f"c{at}" for _, kind, at in self._columns if kind == Kind.TEXT]
        return f"{options}, FORCE_QUOTE ({', '.join(texts)})" if texts else options

    def render(self, rows: list[bytes]) -> bytes:
        """Return one object per line for the rows."""
        sent = b"".join(rows)
        width = len(self.selected)
        if len(sent) - len(sent.translate(None, _CONTROLS)) != len(rows) * width:
            sent = _TEXT.sub(_without_controls, sent)
        fields = sent.replace(b"\n", _DELIMITER).split(_DELIMITER)
        fields.pop()  # after the last row's line end
        template = b""
        for name, kind, at in self._columns:
            template += name + _value(kind, fields, slice(at, None, width))
        return (template + b"}\n") * len(rows) % tuple(fields)


def _sent(column: Column) -> Iterator[ColumnElement[Any]]:
    match column.kind:
        case Kind.TIMESTAMP:
            yield cast(column.expression, Date)
            yield cast(column.expression, Time)
        case Kind.INTEGER:
            yield column.expression
        case _:
            yield cast(column.expression, Text)


def _value(kind: Kind, fields: list[bytes], at: slice) -> bytes:
    """Return the part of the template for one column, adapting its fields if needed."""
    if kind == Kind.JSON:
        fields[at] = map(_document, fields[at])
    if kind != Kind.TIMESTAMP:
        return b"%b"
    behind = slice(at.start + 1, None, at.step)
    dates, times = fields[at], fields[behind]
    if _NULL not in times:
        return _TIMESTAMP
    fields[at] = map(_timestamp, dates, times)
    fields[behind] = [b""] * len(times)
    return b"%b%b"


def _document(field: bytes) -> bytes:
    """Remove COPY's quotes around a value that contains quotes, or looks like its NULL."""
    if not field.startswith(b'"'):
        return field
    return field[1:-1].replace(rb"\"", b'"').replace(rb"\\", b"\\")


def _timestamp(date: bytes, time: bytes) -> bytes:
    """Write NULL, and infinity, which has no time."""
    if time != _NULL:
        return _TIMESTAMP % (date, time)
    return _NULL if date == _NULL else b'"%b"' % date


def _without_controls(text: re.Match[bytes]) -> bytes:
    return _CONTROL.sub(lambda found: json.dumps(found[0].decode())[1:-1].encode(), text[0])
