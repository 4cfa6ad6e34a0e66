"""Old finished jobs, for cleanup.

A job that is pending, processing or still retried is never touched, whatever its age.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import Connection, TextClause, text

from ..registry import registry_of
from ..values import jsonb

#: How many of the oldest jobs are looked at for some that should be gone.
LOOKED_AT = 1_000

# `created_at` is indexed; the others say when the job really ended.
_IS_OLD = """
    created_at < :newest
    AND coalesce(completed_at, dead_at, cancelled_at, updated_at) < {before}
    AND (status IN ('completed', 'cancelled') OR status = 'failed' AND dead_at IS NOT NULL)
"""
# That of its type, or else of all types, for how it ended.
_OF_ITS_OWN = """
    coalesce(CAST(CAST(:kept AS jsonb) -> job_type ->> replace(status, 'failed', 'dead')
                  AS timestamptz),
             CAST(CAST(:kept AS jsonb) -> '' ->> replace(status, 'failed', 'dead')
                  AS timestamptz),
             :before)
"""
# OFFSET keeps PostgreSQL from looking for the highest id from the end on, where all are younger.
_BOUNDS = text(
    """
    SELECT min(id), max(id)
      FROM (SELECT id FROM job_executions WHERE created_at < :newest OFFSET 0) AS old
    """
)


def _both(statement: str) -> dict[bool, TextClause]:
    """Return a statement by whether there are jobs with a retention of their own."""
    before = {False: ":before", True: _OF_ITS_OWN}
    return {
        own: text(statement.format(old=_IS_OLD.format(before=sql))) for own, sql in before.items()
    }


_COUNT = _both("SELECT count(*) FROM job_executions WHERE {old}")
_LEFT = _both(
    f"""
    SELECT count(*) FROM (SELECT * FROM job_executions ORDER BY id LIMIT {LOOKED_AT}) AS oldest
     WHERE {{old}}
    """  # noqa: S608 - the only value in the text is this module's number
)
_IN_RANGE = "id >= :first AND id <= :last"
_DELETE = _both(
    f"DELETE FROM job_executions WHERE {_IN_RANGE} AND status <> 'failed' AND {{old}}"  # noqa: S608 - ours
)
# Of the dead ones QStash may still have a letter, which must not bring them back.
_DELETE_DEAD = _both(
    f"""
    WITH deleted AS (DELETE FROM job_executions
                      WHERE {_IN_RANGE} AND status = 'failed' AND {{old}}
                     RETURNING job_id)
    INSERT INTO deleted_jobs (job_id) SELECT job_id FROM deleted
        ON CONFLICT (job_id) DO UPDATE SET deleted_at = now()
    """  # noqa: S608 - the only values in the text are this module's
)


@dataclass(frozen=True, slots=True)
class FinishedJobs:
    """The jobs that ended before a moment.

    Attributes:
        before: The moment.
        kept: Others, by job type ("" is any) and how a job ended: "completed", "cancelled", "dead".
    """

    before: datetime
    kept: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)

    @classmethod
    def due(cls, now: datetime, otherwise: timedelta) -> "FinishedJobs":
        """Return the jobs that ended longer ago than they are to be kept.

        Args:
            now: From when on it is counted.
            otherwise: How long those are kept of which neither their type nor JOBS_RETENTION says.
        """
        times = {"": current_app.config["JOBS_RETENTION"]}
        times |= {config.type: config.retention for config in registry_of(current_app)}
        kept = {
            job_type: {end: now - timedelta(seconds=time) for end, time in of_type.items()}
            for job_type, of_type in times.items()
            if of_type
        }
        return cls(now - otherwise, kept)

    def count(self, connection: Connection) -> int:
        return int(connection.execute(_COUNT[bool(self.kept)], self._given).scalar_one())

    def left(self, connection: Connection) -> int:
        """Count those among the oldest jobs: what is left where nothing deletes any."""
        return int(connection.execute(_LEFT[bool(self.kept)], self._given).scalar_one())

    def bounds(self, connection: Connection) -> tuple[int, int]:
        """Return the lowest and the highest row id of old jobs; both 0 where there is none."""
        first, last = connection.execute(_BOUNDS, {"newest": self._given["newest"]}).one()
        return first or 0, last or 0

    def delete(self, connection: Connection, first: int, last: int) -> int:
        """Delete those of a range of row ids, and return how many.

        One that somebody retries at this moment is waited for, and then is none of them any more.
        """
        given = {**self._given, "first": first, "last": last}
        statements = (_DELETE[bool(self.kept)], _DELETE_DEAD[bool(self.kept)])
        return sum(connection.execute(statement, given).rowcount for statement in statements)

    @property
    def _given(self) -> dict[str, object]:
        moments = [moment for of_type in self.kept.values() for moment in of_type.values()]
        given: dict[str, object] = {
            "before": self.before,
            "newest": max([self.before, *moments]),
        }
        if self.kept:
            kept = {
                job_type: {end: moment.isoformat() for end, moment in of_type.items()}
                for job_type, of_type in self.kept.items()
            }
            given["kept"] = jsonb.dumps(kept)
        return given
