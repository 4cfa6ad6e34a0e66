"""The process that writes Parquet: how it ends, well or not, and that it stays alone."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet
from sqlalchemy import Text, literal

from app.families.exports.entity import Column
from app.families.exports.writers.parquet import ROW_GROUP, ParquetWriter
from app.families.exports.writers.parquet_process import receive

COLUMNS = [Column("id", literal(1)), Column("name", literal("", Text()))]


def started() -> tuple[ParquetWriter, io.BytesIO, int]:
    """Begin a file; return the process that writes it as well."""
    before = children()
    writer = ParquetWriter(file := io.BytesIO(), "rows", COLUMNS)
    writer.begin()
    (process,) = children() - before
    return writer, file, process


def children() -> set[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


def test_each_row_group_reaches_the_file_and_the_end_ends_the_process() -> None:
    writer, file, process = started()
    rows = [f"{number},{'x' * 100}\r\n".encode() for number in range(ROW_GROUP // 100)]
    writer.write(rows)
    assert file.tell() > 1000
    writer.write([b'-1,""\r\n'])
    writer.end()

    table = parquet.read_table(io.BytesIO(file.getvalue()))
    assert table.num_rows == len(rows) + 1
    assert table.to_pylist()[-1] == {"id": -1, "name": ""}
    assert process not in children()


def test_a_process_that_was_killed_is_named_and_leaves_nothing() -> None:
    writer, _, process = started()
    os.kill(process, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="the process that writes Parquet ended: it was killed"):
        writer.end()
    writer.abandon()

    assert process not in children()


def test_what_pyarrow_refuses_is_said() -> None:
    writer, _, process = started()
    writer.write([b"one,Ann\r\n"])
    with pytest.raises(RuntimeError, match="CSV conversion error to int64"):
        writer.end()
    writer.abandon()

    assert process not in children()


def test_a_frame_that_is_cut_off_is_no_frame() -> None:
    with pytest.raises(EOFError):
        receive(io.BytesIO((5).to_bytes(8) + b"abc"))


def test_the_process_loads_nothing_of_the_app_and_the_app_nothing_of_pyarrow() -> None:
    code = """
import io, os, sys
from pathlib import Path
from sqlalchemy import Text, literal
from app.families.exports.entity import Column
from app.families.exports.writers.parquet import ParquetWriter
writer = ParquetWriter(io.BytesIO(), "rows", [Column("id", literal(1))])
writer.begin()
pid = Path(f"/proc/self/task/{os.getpid()}/children").read_text().strip()
mapped = Path(f"/proc/{pid}/maps").read_text()
writer.end()
print("pyarrow" in sys.modules, "libarrow" in mapped, "sqlalchemy" in mapped)
"""
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "False True False\n"
