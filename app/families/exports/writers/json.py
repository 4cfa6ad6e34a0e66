"""JSON, as lines and as one array: the rows are objects that PostgreSQL writes."""

import json
from collections.abc import Sequence
from typing import Any

from psycopg.abc import Buffer
from sqlalchemy import ColumnElement, Text, cast, func

from app.families.exports.entity import Column, Kind
from app.families.exports.writers.base import Writer


class JsonLinesWriter(Writer):
    """An object on each line; timestamps in ISO 8601, JSON columns as what they hold."""

    suffix = "jsonl"
    media_type = "application/x-ndjson"

    def select(self) -> list[ColumnElement[Any]]:
        return [_object(self.columns, "{")]

    def begin(self) -> None:
        """Write nothing: the first row is the beginning."""

    def write(self, rows: list[Buffer]) -> None:
        self.file.write(b"".join(rows))

    def end(self) -> None:
        """Write nothing: the last row is the end."""


class JsonWriter(Writer):
    """One array with an object on each line.

    Each row brings the comma before it, and that of the very first is taken off.
    """

    suffix = "json"
    media_type = "application/json"

    def select(self) -> list[ColumnElement[Any]]:
        return [_object(self.columns, ",{")]

    def begin(self) -> None:
        self.file.write(b"[\n")

    def write(self, rows: list[Buffer]) -> None:
        lines = b"".join(rows)
        self.file.write(lines if self.rows else lines[1:])
        self.rows += len(rows)

    def end(self) -> None:
        self.file.write(b"]\n")


def _object(columns: Sequence[Column], opening: str) -> ColumnElement[Any]:
    """Write an object by hand: `row_to_json` looks up each column's type anew for each row."""
    parts: list[Any] = []
    for column in columns:
        parts += [f"{opening}{json.dumps(column.name)}:", _value(column)]
        opening = ","
    return func.concat(*parts, "}")


def _value(column: Column) -> ColumnElement[Any]:
    quoted = column.kind in {Kind.TEXT, Kind.TIMESTAMP}
    value = func.to_json(column.expression) if quoted else column.expression
    return func.coalesce(cast(value, Text), "null")
