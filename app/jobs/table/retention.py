"""Old finished jobs, for cleanup.

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
_COUNT = text(f"SELECT count(*) FROM job_executions WHERE {_IS_OLD}")  # noqa: S608 - ours
_BOUNDS = text("SELECT min(id), max(id) FROM job_executions")
# Of the dead ones QStash may still have a letter, which must not bring them back.
_DELETE = text(
    f"""
    WITH deleted AS (DELETE FROM job_executions
                      WHERE id >= :first AND id <= :last AND {_IS_OLD}
                     RETURNING job_id, status),
    remembered AS (INSERT INTO deleted_jobs (job_id)
                   SELECT job_id FROM deleted WHERE status = 'failed'
                   ON CONFLICT (job_id) DO UPDATE SET deleted_at = now())
    SELECT count(*) FROM deleted
    """  # noqa: S608 - as above
)


@dataclass(frozen=True, slots=True)
class FinishedJobs:
    """The jobs that ended before a moment."""

    before: datetime

    def count(self, connection: Connection) -> int:
        return int(connection.execute(_COUNT, {"before": self.before}).scalar_one())

    def bounds(self, connection: Connection) -> tuple[int, int]:
        """Return the lowest and the highest row id of all jobs; both 0 where there is none."""
        first, last = connection.execute(_BOUNDS).one()
        return first or 0, last or 0

    def delete(self, connection: Connection, first: int, last: int) -> int:
        """Delete those of a range of row ids, and return how many.

        One that somebody retries at this moment is waited for, and then is none of them any more.
        """
        given = {"before": self.before, "first": first, "last": last}
        return int(connection.execute(_DELETE, given).scalar_one())
