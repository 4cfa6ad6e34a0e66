"""Rows of one table that are older than a moment."""

from datetime import datetime

from sqlalchemy import Connection, text


class OldRows:
    """The rows of `table` whose indexed `column` lies before a moment.

    Args:
        table: Its name, and those of `column` and in `unless`, come from our code, never from a
            payload.
        unless: A condition in SQL under which a row is kept all the same.
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
        """Delete those of a range of ids, and return how many."""
        given = {"before": self._before, "first": first, "last": last}
        return connection.execute(self._delete, given).rowcount
