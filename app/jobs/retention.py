"""Old jobs that are over, for whoever cleans up.

A job that is pending, processing or still retried is never touched, whatever its age.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

# `created_at` is indexed; the others say when the job really ended.
_IS_OLD = """
    created_at < :before
    AND coalesce(completed_at, dead_at, cancelled_at, updated_at) < :before
    AND (status IN ('completed', 'cancelled') OR status = 'failed' AND dead_at IS NOT NULL)
"""
_FIND = text(f"SELECT count(*), min(id), max(id) FROM job_executions WHERE {_IS_OLD}")  # noqa: S608 - ours
_DELETE = text(
    f"DELETE FROM job_executions WHERE id >= :first AND id <= :last AND {_IS_OLD}"  # noqa: S608 - likewise
)


@dataclass(frozen=True, slots=True)
class FinishedJobs:
    """The jobs that ended before a moment."""

    before: datetime

    def find(self, connection: Connection) -> tuple[int, int, int]:
        """Return how many there are, and their lowest and highest row id; all 0 where none is."""
        count, first, last = connection.execute(_FIND, {"before": self.before}).one()
        return count, first or 0, last or 0

    def delete(self, connection: Connection, first: int, last: int) -> int:
        """Delete those of a range of row ids, and return how many.

        One that somebody retries at this moment is waited for, and then is none of them any more.
        """
        given = {"before": self.before, "first": first, "last": last}
        return connection.execute(_DELETE, given).rowcount
