"""JSON, as lines and as one array."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement

from app.families.exports.entity import Column
from app.families.exports.writers.base import Stream, Writer
from app.families.exports.writers.json_rows import JsonRows


class JsonLinesWriter(Writer):
    """One object per line; timestamps in ISO 8601, JSON columns as JSON."""

    suffix = "jsonl"
    media_type = "application/x-ndjson"
    opening = "{"

    def __init__(
        self, file: Stream, title: str, columns: Sequence[Column], *, rows: int = 0
    ) -> None:
        super().__init__(file, title, columns, rows=rows)
        self._objects = JsonRows(columns, self.opening)
        self.copy_options = self._objects.copy_options

    def select(self) -> list[ColumnElement[Any]]:
        return self._objects.selected

    def begin(self) -> None:
        """Write nothing before the first row."""

    def write(self, rows: list[bytes]) -> None:
        self.file.write(self._objects.render(rows))

    def end(self) -> None:
        """Write nothing after the last row."""


class JsonWriter(JsonLinesWriter):
    """One array with an object on each line.

    Each row starts with a comma, which is removed from the first.
    """

    suffix = "json"
    media_type = "application/json"
    opening = ",{"

    def begin(self) -> None:
        self.file.write(b"[\n")

    def write(self, rows: list[bytes]) -> None:
        lines = self._objects.render(rows)
        self.file.write(lines if self.rows else lines[1:])
        self.rows += len(rows)

    def end(self) -> None:
        self.file.write(b"]\n")
