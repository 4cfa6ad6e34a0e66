"""How many jobs wait, run and lie dead at this moment, by type: what a scrape of the metrics asks.

An index bounds every part and counts end at `CAP`, as in `figures`, so that it costs the same
whatever the table holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from .db import in_transaction
from .snapshot import CAP

#: Milliseconds after which a statement is given up: the next scrape is due soon.
PATIENCE_MS = 2_000

_DUE = "coalesce(available_at, created_at)"
# Each with the order of its index, without which the planner might read the table instead.
_WAITING = {
    "pending": ("status = 'pending'", _DUE),
    "processing": ("status = 'processing'", "lease_expires_at"),
    "retrying": ("status = 'failed' AND dead_at IS NULL", "created_at"),
}
#: What a job that is not final can be.
STATES = tuple(_WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Counts of jobs.

    Attributes:
        waiting: Those that are not final, by type and state: pending, processing or retrying.
        dead: Those that failed for good, however long ago.
        oldest_pending_seconds: For how long the first pending one has been due; 0 where none is.
    """

    waiting: Mapping[tuple[str, str], int]
    dead: int
    oldest_pending_seconds: float


def measure() -> Depth:
    """Return the counts as of now.

    Raises:
        DatabaseUnavailable: There are none.
    """

    def work(tx: Connection) -> Depth:
        tx.exec_driver_sql(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
        rows = tx.execute(_BY_TYPE, {"cap": CAP}).all()
        dead, oldest = tx.execute(_ALL, {"cap": CAP}).one()
        waiting = {(job_type, state): count for job_type, state, count in rows}
        return Depth(waiting=waiting, dead=dead, oldest_pending_seconds=oldest)

    return in_transaction(work)


_BY_TYPE = text(
    " UNION ALL ".join(
        f"""
        SELECT job_type, '{state}' AS state, count(*) FROM (
            SELECT job_type FROM job_executions
             WHERE {condition} ORDER BY {order} LIMIT :cap) AS capped
         GROUP BY job_type
        """  # noqa: S608 - this module's own text
        for state, (condition, order) in _WAITING.items()
    )
)

_ALL = text(
    f"""
    SELECT (SELECT count(*) FROM (
               SELECT FROM job_executions WHERE status = 'failed' AND dead_at IS NOT NULL
                ORDER BY created_at DESC LIMIT :cap) AS capped),
           (SELECT greatest(0, coalesce(extract(epoch FROM now() - due), 0))::float8
              FROM (SELECT nullif(nullif(min({_DUE}), '-infinity'), 'infinity') AS due
                      FROM job_executions WHERE status = 'pending') AS oldest)
    """  # noqa: S608 - likewise
)
