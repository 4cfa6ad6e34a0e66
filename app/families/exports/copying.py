"""Read rows by COPY, on a separate connection, in blocks.

It uses psycopg2, whose COPY calls a Python function with each row from C, in a third of the time
that psycopg takes per row; `python benchmarks/exports.py` measures the effect.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Select

#: Minimum bytes per block.
BLOCK = 256 * 1024

Block = list[bytes]


@contextmanager
def reader(like: Connection) -> Iterator[Any]:
    """Connect to the same database as another connection, with the same parameters."""
    import psycopg2  # noqa: PLC0415 - large, and only exports need it

    driver: Any = like.connection.driver_connection
    info = driver.info
    given = {**info.get_parameters(), "client_encoding": "UTF8", "password": info.password}
    connection = psycopg2.connect(**given)
    try:
        yield connection
    finally:
        # Even if not all rows were read: the server notices, and stops.
        connection.close()


def copy(
    connection: Any,
    rows: Select[Any],
    to: Callable[[Block], object],
    *,
    options: str,
    timeout: float,
) -> None:
    """Read the rows that a statement selects, as currently committed.

    Args:
        connection: A `reader`; unusable afterwards if this raises.
        rows: The statement.
        to: Called with blocks of rows as COPY writes them, each with its line end.
        options: COPY's options, such as `FORMAT csv`.
        timeout: Time limit of the statement in seconds.

    Raises:
        psycopg2.Error: The server rejected it, or took too long.
    """
    from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2  # noqa: PLC0415 - as above

    dialect: Any = PGDialect_psycopg2()  # type: ignore[no-untyped-call] # SQLAlchemy's own gap
    compiled = rows.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    blocks = _Blocks(to)
    with connection.cursor() as cursor:
        selected = cursor.mogrify(str(compiled), compiled.params)
        milliseconds = max(1, round(timeout * 1000))
        # COPY writes timestamps in the session's time zone.
        cursor.execute(f"SET LOCAL TIME ZONE 'UTC'; SET LOCAL statement_timeout = {milliseconds}")
        cursor.copy_expert(b"COPY (%b) TO STDOUT (%b)" % (selected, options.encode()), blocks)
    connection.commit()
    blocks.hand_on()


class _Blocks:
    """The file that COPY writes to row by row; it passes rows on in blocks."""

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
