"""COPY as exports read it: on a connection of its own, in blocks of rows.

By psycopg2, whose COPY calls a Python function with each row from C, which takes a third of the
time that psycopg takes to hand over a row: `python benchmarks/exports.py` shows what that makes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from sqlalchemy import Connection, Select
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

#: Bytes that are handed on at a time, at least; more only where a single row is larger.
BLOCK = 256 * 1024

Block = list[bytes]


@contextmanager
def reader(like: Connection) -> Iterator[Any]:
    """Connect to the database that another connection is to, and in the same way."""
    driver: Any = like.connection.driver_connection
    info = driver.info
    given = {**info.get_parameters(), "client_encoding": "UTF8", "password": info.password}
    connection = psycopg2.connect(**given)
    try:
        yield connection
    finally:
        # Also where the rows were not read to their end: the server notices, and stops.
        connection.close()


def copy(
    connection: Any,
    rows: Select[Any],
    to: Callable[[Block], object],
    *,
    options: str,
    timeout: float,
) -> None:
    """Read what a statement selects, as it is committed now.

    Args:
        connection: A `reader`; of no further use where this raises.
        rows: The statement.
        to: Is called with rows as COPY writes them, each with its line end, in blocks.
        options: Of COPY, such as `FORMAT csv`.
        timeout: Seconds that the statement may take.

    Raises:
        psycopg2.Error: The server refused, or took too long.
    """
    dialect: Any = PGDialect_psycopg2()  # type: ignore[no-untyped-call] # SQLAlchemy's own gap
    compiled = rows.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    blocks = _Blocks(to)
    with connection.cursor() as cursor:
        selected = cursor.mogrify(str(compiled), compiled.params)
        milliseconds = max(1, round(timeout * 1000))
        # Timestamps are written in the session's time zone.
        cursor.execute(f"SET LOCAL TIME ZONE 'UTC'; SET LOCAL statement_timeout = {milliseconds}")
        cursor.copy_expert(b"COPY (%b) TO STDOUT (%b)" % (selected, options.encode()), blocks)
    connection.commit()
    blocks.hand_on()


class _Blocks:
    """The file that COPY writes to, row by row: gathers them until they are worth handing on."""

    def __init__(self, to: Callable[[Block], object]) -> None:
        self._to = to
        self._block: Block = []
        self._size = 0

    def write(self, row: bytes) -> None:
        self._block.append(row)
        self._size += len(row)
        if self._size >= BLOCK:
            self.hand_on()

    def hand_on(self) -> None:
        block, self._block, self._size = self._block, [], 0
        if block:
            self._to(block)
