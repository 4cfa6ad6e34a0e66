"""Delete many rows without getting in anyone's way: the transactions are short by construction."""

from collections.abc import Iterator
from datetime import datetime
from time import monotonic
from typing import Protocol

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.db import db

#: Ids in a batch, at least: on a busy machine each takes long, and fewer of them take no less.
FEWEST = 1_000
#: Seconds that a batch should take, and after which PostgreSQL cancels it: it holds no lock for
#: longer than a tenth of a second.
AIM, LIMIT = 0.03, 0.09
#: Seconds for a single row, which another transaction may have locked.
LIMIT_OF_ONE = 5.0

# It does not wait for the disk: what a crash of PostgreSQL undoes, the next night deletes.
_BOUNDED = "SET LOCAL statement_timeout = {}; SET LOCAL synchronous_commit = off"


class Rows(Protocol):
    """Rows that can be deleted in batches."""

    def count(self, connection: Connection) -> int:
        """Return how many there are."""

    def bounds(self, connection: Connection) -> tuple[int, int]:
        """Return a range of ids that includes all of them; cheap rather than narrow."""

    def delete(self, connection: Connection, first: int, last: int) -> int:
        """Delete those in a range of ids, both ends included, and return how many."""


class OldRows:
    """The rows of `table` whose indexed `column` is before a moment.

    Args:
        table: Like `column` and `unless`, this comes from our code, never from a payload.
        unless: An SQL condition under which a row is kept.
    """

    def __init__(self, table: str, column: str, before: datetime, *, unless: str = "false") -> None:
        old = f"FROM {table} WHERE {column} < :before AND NOT ({unless})"
        self._count = text(f"SELECT count(*) {old}")
        self._bounds = text(f"SELECT min(id), max(id) FROM {table}")  # noqa: S608 - see above
        self._delete = text(f"DELETE {old} AND id >= :first AND id <= :last")
        self._before = before

    def count(self, connection: Connection) -> int:
        return int(connection.execute(self._count, {"before": self._before}).scalar_one())

    def bounds(self, connection: Connection) -> tuple[int, int]:
        """Return the lowest and the highest id of the table; both 0 where it is empty."""
        first, last = connection.execute(self._bounds).one()
        return first or 0, last or 0

    def delete(self, connection: Connection, first: int, last: int) -> int:
        """Delete those in a range of ids, and return how many."""
        given = {"before": self._before, "first": first, "last": last}
        return connection.execute(self._delete, given).rowcount


def delete_in_batches(rows: Rows) -> Iterator[int]:
    """Delete all, each batch in its own transaction, and yield how many each deleted.

    Raises:
        OperationalError: A single row took longer than `LIMIT_OF_ONE`.
    """
    with db.engine.connect() as connection:
        first, last = rows.bounds(connection)
    size = FEWEST
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
        connection.exec_driver_sql(_BOUNDED.format(round(limit * 1000)))
        return rows.delete(connection, first, last)


def _next_size(size: int, seconds: float) -> int:
    """Approach `AIM`, at most doubling: one fast batch proves little."""
    aimed = max(FEWEST, round(size * AIM / max(seconds, 0.001)))
    return min(aimed, 2 * size)
