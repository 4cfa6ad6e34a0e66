"""Turn CSV into Parquet, as a program of its own: what pyarrow takes in memory ends with it.

    python -P parquet_process.py

It is run by its path, and so loads nothing of the app. It reads frames: first the columns, as JSON
(`[[name, kind], …]`), then the CSV of each row group. It answers each, and at last the end of its
input, with a frame of what comes next in the file. A frame is eight bytes, its length, and so many
more.
"""

import json
import signal
import sys
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

#: Bytes of a frame's length.
LENGTH = 8


def send(stream: IO[bytes], data: bytes) -> None:
    stream.write(len(data).to_bytes(LENGTH))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Return the next frame, or None at the end.

    Raises:
        EOFError: The stream ended within a frame.
    """
    head = stream.read(LENGTH)
    if not head:
        return None
    data = stream.read(int.from_bytes(head))
    if len(head) < LENGTH or len(data) < int.from_bytes(head):
        raise EOFError("The stream ended within a frame.")
    return data


class Added:
    """A file that is only written to, and keeps what is not taken yet."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Do nothing: what is written is there."""

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def main() -> None:
    from pyarrow import parquet  # noqa: PLC0415 - only where this is the program

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever has started it ends it
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    schema, added = _schema(json.loads(receive(source) or b"[]")), Added()
    file: Any = added
    with parquet.ParquetWriter(file, schema) as writer:
        send(answers, added.take())
        while (block := receive(source)) is not None:
            writer.write_table(_table(block, schema))
            send(answers, added.take())
    send(answers, added.take())


def _schema(columns: list[list[str]]) -> "pa.Schema":
    import pyarrow as pa  # noqa: PLC0415 - as above

    types = {
        "integer": pa.int64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "boolean": pa.bool_(),
    }
    return pa.schema([(name, types.get(kind, pa.string())) for name, kind in columns])


def _table(block: bytes, schema: "pa.Schema") -> "pa.Table":
    from pyarrow import csv, py_buffer  # noqa: PLC0415 - as above

    return csv.read_csv(
        py_buffer(block),
        # A row must fit into one of the parser's blocks.
        read_options=csv.ReadOptions(
            column_names=schema.names, block_size=len(block) + 1, use_threads=False
        ),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        # Only COPY's NULL is a null: a text "NULL" or "" stays a text.
        convert_options=csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


if __name__ == "__main__":
    main()
