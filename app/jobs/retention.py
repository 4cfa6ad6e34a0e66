"""Old jobs that are over, for whoever cleans up.

A job that is pending, processing or still retried is never touched, whatever its age.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection, text

from app.jobs.models import Status

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_FINAL = (Status.COMPLETED, Status.CANCELLED, Status.FAILED)

# The index (status, created_at) finds them; the row says when the job really ended.
_IS_OLD = """
    status = :status AND created_at < :before
    AND (status <> 'failed' OR dead_at IS NOT NULL)
    AND coalesce(completed_at, dead_at, cancelled_at, updated_at) < :before
"""
_COUNT = text(f"SELECT count(*) FROM job_executions WHERE {_IS_OLD}")  # noqa: S608 - ours
# A row that somebody is retrying at this moment is locked, and so left for the next time.
_DELETE = text(
    f"""
    WITH old AS MATERIALIZED (
        SELECT id, created_at FROM job_executions
         WHERE {_IS_OLD} AND created_at >= :since
         ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), deleted AS (
        DELETE FROM job_executions WHERE id = ANY (ARRAY(SELECT id FROM old))
    )
    SELECT count(*), max(created_at) FROM old
    """  # noqa: S608 - likewise
)


class FinishedJobs:
    """The jobs that ended before a moment, to be deleted batch by batch."""

    def __init__(self, before: datetime) -> None:
        self._before = before
        self._left = list(_FINAL)
        self._since = _BEGINNING

    def count(self, connection: Connection) -> int:
        given = {"before": self._before}
        return sum(connection.execute(_COUNT, {**given, "status": s}).scalar_one() for s in _FINAL)

    def delete(self, connection: Connection, limit: int) -> int | None:
        """Delete at most `limit` jobs and return how many; None when there are no more."""
        if not self._left:
            return None
        given = {"status": self._left[0], "before": self._before, "since": self._since}
        count, newest = connection.execute(_DELETE, {**given, "limit": limit}).one()
        # What was deleted stays in the index until a vacuum: begin behind it.
        self._since = newest
        if count < limit:
            del self._left[0]
            self._since = _BEGINNING
        return int(count)
