"""How many jobs of each type came to what, how fast, and how long they waited before."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text

from .db import in_transaction
from .models import Status

#: Of more jobs only the newest are counted, so that a look at a long time cannot take long.
COUNTED = 100_000

#: A hundred years, in seconds: PostgreSQL's calendar ends before Python's numbers.
LONGEST = 100 * 365 * 86400

# The time to wait is known of jobs that were started once: a later start overwrites the first.
# The period is at most the one asked for, and ends with the oldest job that was counted.
_STATS = text(
    """
    WITH newest AS MATERIALIZED (
        SELECT job_type, status, status = 'failed' AND dead_at IS NOT NULL AS dead, created_at,
               CASE WHEN status = 'completed'
                    THEN extract(epoch FROM completed_at - started_at)::float8 END AS ran,
               CASE WHEN started_at IS NOT NULL AND retry_count = 0 AND reschedules = 0
                     AND generation = 0 AND legs = 0
                    THEN greatest(0, extract(epoch FROM
                             started_at - coalesce(available_at, created_at)))::float8 END AS waited
          FROM job_executions
         WHERE created_at >= now() - make_interval(secs => :since)
           AND (CAST(:job_type AS text) IS NULL OR job_type = :job_type)
         ORDER BY created_at DESC, id DESC LIMIT :limit)
    SELECT job_type, status, dead, count(*) AS jobs, avg(ran) AS average,
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY ran) AS ran,
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY waited) AS waited,
           extract(epoch FROM now() - min(created_at))::float8 AS oldest
      FROM newest GROUP BY job_type, status, dead ORDER BY job_type, status, dead
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """The jobs of one type in one state; times are in seconds, None where there is none.

    Attributes:
        dead: Of failed jobs: no further attempt will come.
        per_minute: Jobs recorded.
        average: How long completed jobs ran in their last attempt; `p50` and `p95` are percentiles.
        waited_p50: From the time when a job was due to its start.
    """

    job_type: str
    status: Status
    dead: bool
    count: int
    per_minute: float
    average: float | None
    p50: float | None
    p95: float | None
    waited_p50: float | None
    waited_p95: float | None


@dataclass(frozen=True, slots=True)
class Stats:
    """What was counted.

    Attributes:
        seconds: How far back.
        capped: There are older jobs in the time asked for that were not counted.
    """

    rows: list[Statistic]
    seconds: float
    capped: bool


def stats(*, since: float, job_type: str | None = None) -> Stats:
    """Count the jobs recorded in the last `since` seconds.

    Args:
        since: How far back.
        job_type: Only jobs of this type.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    since = min(since, LONGEST)
    given = {"since": since, "job_type": job_type, "limit": COUNTED}
    rows = in_transaction(lambda tx: tx.execute(_STATS, given).all())
    capped = sum(row.jobs for row in rows) == COUNTED
    seconds = max(row.oldest for row in rows) if capped else since
    return Stats([_statistic(row, seconds) for row in rows], seconds, capped)


def _statistic(row: Row[Any], seconds: float) -> Statistic:
    p50, p95 = row.ran or (None, None)
    waited_p50, waited_p95 = row.waited or (None, None)
    return Statistic(
        job_type=row.job_type,
        status=Status(row.status),
        dead=row.dead,
        count=row.jobs,
        per_minute=row.jobs * 60 / seconds if seconds else 0.0,
        average=row.average,
        p50=p50,
        p95=p95,
        waited_p50=waited_p50,
        waited_p95=waited_p95,
    )
