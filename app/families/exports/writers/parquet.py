"""Parquet: typed columns, by pyarrow (the extra `parquet`)."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Text, cast

from app.families.exports.entity import Column, Kind
from app.families.exports.writers.base import Writer

if TYPE_CHECKING:
    import pyarrow as pa

#: Bytes of CSV per row group: several copies are in memory during the conversion.
ROW_GROUP = 2 * 1024 * 1024


class ParquetWriter(Writer):
    """Parses COPY's CSV with pyarrow, so that no value passes through Python."""

    suffix = "parquet"
    media_type = "application/vnd.apache.parquet"
    continues = False
    text = False

    def select(self) -> list[ColumnElement[Any]]:
        as_text = {Kind.JSON, Kind.BOOLEAN}
        return [
            cast(column.expression, Text) if column.kind in as_text else column.expression
            for column in self.columns
        ]

    def begin(self) -> None:
        from pyarrow import parquet  # noqa: PLC0415 - 40 MB that other formats do not need

        self._schema = _schema(self.columns)
        self._parquet = parquet.ParquetWriter(self.file, self._schema)
        self._pending: list[bytes] = []
        self._size = 0

    def write(self, rows: list[bytes]) -> None:
        block = b"".join(rows)
        self._pending.append(block)
        self._size += len(block)
        if self._size >= ROW_GROUP:
            self._write_row_group()

    def end(self) -> None:
        if self._pending:
            self._write_row_group()
        self._parquet.close()

    def abandon(self) -> None:
        with suppress(Exception):
            self._parquet.close()

    def _write_row_group(self) -> None:
        from pyarrow import csv, py_buffer  # noqa: PLC0415 - as above

        block, self._pending = b"".join(self._pending), []
        table = csv.read_csv(
            py_buffer(block),
            # A row must fit into one of the parser's blocks.
            read_options=csv.ReadOptions(
                column_names=self._schema.names, block_size=self._size + 1, use_threads=False
            ),
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            # Only COPY's NULL is a null: a text "NULL" or "" stays a text.
            convert_options=csv.ConvertOptions(
                column_types=self._schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        self._size = 0
        self._parquet.write_table(table)


def _schema(columns: Sequence[Column]) -> "pa.Schema":
    import pyarrow as pa  # noqa: PLC0415 - as above

    types = {
        Kind.INTEGER: pa.int64(),
        Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
        Kind.BOOLEAN: pa.bool_(),
    }
    return pa.schema([(column.name, types.get(column.kind, pa.string())) for column in columns])
