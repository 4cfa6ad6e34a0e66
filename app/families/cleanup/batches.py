"""Deleting much without being in anybody's way: in transactions that are short by construction."""

from collections.abc import Iterator
from time import monotonic
from typing import Protocol

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from app.db import db

#: Ids in the first batch; after that, as many as take `AIM`, which may be many where few are old.
FIRST = 500
#: Seconds that a batch should take, and after which PostgreSQL stops it. With its commit it holds
#: no lock longer than a tenth of a second.
AIM, LIMIT = 0.01, 0.08
#: Seconds that a single row may take, which somebody else may have locked.
LIMIT_OF_ONE = 5.0


class Rows(Protocol):
    """What can be deleted piece by piece."""

    def count(self, connection: Connection) -> int:
        """Return how many there are."""

    def bounds(self, connection: Connection) -> tuple[int, int]:
        """Return ids between which they all lie, both included; cheap, so not the narrowest."""

    def delete(self, connection: Connection, first: int, last: int) -> int:
        """Delete those of a range of ids, both included, and return how many."""


def delete_in_batches(rows: Rows) -> Iterator[int]:
    """Delete all, each batch in a transaction of its own, and yield how many each deleted.

    Raises:
        OperationalError: A single row took longer than `LIMIT_OF_ONE`.
    """
    with db.engine.connect() as connection:
        first, last = rows.bounds(connection)
    size = FIRST
    while first <= last:
        started = monotonic()
        try:
            deleted = _delete(rows, first, min(first + size - 1, last))
        except OperationalError as error:
            if not isinstance(error.orig, QueryCanceled) or size == 1:
                raise
            size = max(1, size // 4)
            continue
        yield deleted
        first += size
        size = _next_size(size, monotonic() - started)


def _delete(rows: Rows, first: int, last: int) -> int:
    limit = LIMIT if first < last else LIMIT_OF_ONE
    with db.engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(limit * 1000)}")
        return rows.delete(connection, first, last)


def _next_size(size: int, seconds: float) -> int:
    """Come nearer to `AIM`, by at most twice at a time: one fast batch proves little."""
    return max(1, min(round(size * AIM / max(seconds, 0.001)), 2 * size))
