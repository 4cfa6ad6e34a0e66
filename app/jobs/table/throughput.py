"""How many jobs came to an end, step by step over the last while."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from .db import in_transaction

#: Of more jobs only the newest are counted, so that a look at a busy week cannot take long.
COUNTED = 50_000

_ENDED = text(
    """
    WITH newest AS MATERIALIZED (
        SELECT completed_at, status FROM job_executions
         WHERE completed_at > now() - make_interval(secs => :since) AND completed_at <= now()
         ORDER BY completed_at DESC LIMIT :limit)
    SELECT CAST(floor(extract(epoch FROM now() - completed_at) / :step) AS int) AS ago,
           count(*) FILTER (WHERE status = 'completed') AS completed,
           count(*) FILTER (WHERE status = 'failed') AS dead
      FROM newest GROUP BY ago
    """
)


@dataclass(frozen=True, slots=True)
class Step:
    """What ended in one step of the time.

    Attributes:
        since: When the step began.
        completed: Jobs that completed.
        dead: Jobs that failed for good.
    """

    since: datetime
    completed: int
    dead: int


@dataclass(frozen=True, slots=True)
class Throughput:
    """What ended over a time.

    Attributes:
        steps: The oldest first, each as long as the others.
        capped: Only the newest 50,000 jobs were counted.
    """

    steps: list[Step]
    capped: bool

    @property
    def completed(self) -> int:
        return sum(step.completed for step in self.steps)

    @property
    def dead(self) -> int:
        return sum(step.dead for step in self.steps)


def throughput(*, since: float, steps: int) -> Throughput:
    """Count the jobs that ended in the last `since` seconds, in so many steps.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    step = since / steps
    given = {"since": since, "step": step, "limit": COUNTED}

    def work(tx: Connection) -> Throughput:
        now: datetime = tx.execute(text("SELECT now()")).scalar_one()
        found = {row.ago: row for row in tx.execute(_ENDED, given).all()}
        made = [
            Step(
                now - timedelta(seconds=step * (ago + 1)),
                found[ago].completed if ago in found else 0,
                found[ago].dead if ago in found else 0,
            )
            for ago in reversed(range(steps))
        ]
        counted = sum(row.completed + row.dead for row in found.values())
        return Throughput(made, capped=counted >= COUNTED)

    return in_transaction(work)
