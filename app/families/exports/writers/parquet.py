"""Parquet: typed columns, by pyarrow (the extra `parquet`) in a process of its own."""

import json
import subprocess
import sys
from contextlib import suppress
from typing import IO, Any

from sqlalchemy import ColumnElement, Text, cast

from app.families.exports.entity import Kind
from app.families.exports.writers import parquet_process
from app.families.exports.writers.base import Writer

#: Bytes of CSV per row group: several copies are in memory during the conversion.
ROW_GROUP = 2 * 1024 * 1024


class ParquetWriter(Writer):
    """Has COPY's CSV parsed by pyarrow, so that no value passes through Python."""

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
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", parquet_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._pending: list[bytes] = []
        self._size = 0
        try:
            self._ask(json.dumps([[one.name, one.kind] for one in self.columns]).encode())
        except BaseException:
            self.abandon()
            raise

    def write(self, rows: list[bytes]) -> None:
        block = b"".join(rows)
        self._pending.append(block)
        self._size += len(block)
        if self._size >= ROW_GROUP:
            self._write_row_group()

    def end(self) -> None:
        if self._pending:
            self._write_row_group()
        self._ask(None)
        self._release()

    def abandon(self) -> None:
        with suppress(Exception):
            self._release()

    def _write_row_group(self) -> None:
        block, self._pending, self._size = b"".join(self._pending), [], 0
        self._ask(block)

    def _ask(self, data: bytes | None) -> None:
        """Send a frame, or the end of them, and write what the answer adds to the file."""
        sink, answers, errors = self._pipes()
        try:
            if data is None:
                sink.close()
            else:
                parquet_process.send(sink, data)
            added = parquet_process.receive(answers)
        except (BrokenPipeError, EOFError):
            added = None
        if added is None:
            said = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"the process that writes Parquet ended: {said or 'it was killed'}")
        self.file.write(added)

    def _release(self) -> None:
        """End the process, which has nothing left to do."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes():
            with suppress(OSError):
                pipe.close()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        process = self._process
        assert process.stdin is not None  # noqa: S101 - all three were asked for
        assert process.stdout is not None  # noqa: S101 - likewise
        assert process.stderr is not None  # noqa: S101 - likewise
        return process.stdin, process.stdout, process.stderr
