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
        self._find = text(f"SELECT count(*), min(id), max(id) {old}")
        self._delete = text(f"DELETE {old} AND id >= :first AND id <= :last")
        self._before = before

    def find(self, connection: Connection) -> tuple[int, int, int]:
        """Return how many there are, and their lowest and highest id; all 0 where there is none."""
        count, first, last = connection.execute(self._find, {"before": self._before}).one()
        return count, first or 0, last or 0

    def delete(self, connection: Connection, first: int, last: int) -> int:
        """Delete those of a range of ids, and return how many."""
        given = {"before": self._before, "first": first, "last": last}
        return connection.execute(self._delete, given).rowcount
