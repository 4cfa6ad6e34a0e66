"""What came to an end lately: how many jobs of each type, how long they ran, and waited before."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from math import exp
from typing import Any

from sqlalchemy import Connection, text

from . import buckets
from .buckets import HOUR, MINUTE, Kind, Span
from .db import in_transaction

#: Seconds of counting after which a call returns what it has.
BUDGET = 1.0
#: Times are kept by their logarithm, in so many parts for a factor of e: to within 2.5 %.
PARTS = 20
#: The shortest time that is told from none, in seconds.
SHORTEST = 0.001


def _least(name: str) -> str:
    """Return a time as SQL, at least the shortest; null where it is."""
    return f"CASE WHEN {name} < {SHORTEST} THEN {SHORTEST} ELSE {name} END"


# The time to wait is known of jobs that were started once: a later start overwrites the first.
_COUNT = text(
    f"""
    SELECT CAST(floor(extract(epoch FROM completed_at - :since) / :seconds) AS int) AS bucket,
           job_type, CASE status WHEN 'failed' THEN 'dead' ELSE status END AS state,
           CAST(floor(ln({_least("ran")}) * {PARTS}) AS int) AS ran,
           CAST(floor(ln({_least("waited")}) * {PARTS}) AS int) AS waited,
           count(*) AS jobs
      FROM (SELECT completed_at, job_type, status,
                   CASE WHEN status = 'completed'
                        THEN extract(epoch FROM completed_at - started_at)::float8 END AS ran,
                   CASE WHEN started_at IS NOT NULL AND retry_count = 0 AND reschedules = 0
                         AND generation = 0 AND legs = 0
                        THEN extract(epoch FROM
                                 started_at - coalesce(available_at, created_at))::float8
                   END AS waited
              FROM job_executions
             WHERE completed_at >= :since AND completed_at < :until) AS ended
     GROUP BY 1, 2, 3, 4, 5
    """  # noqa: S608 - our own numbers
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OfType:
    """The jobs of one type that came to one end.

    Attributes:
        state: "completed", "dead" or "cancelled".
        ran_p50, ran_p95: Seconds, of those that completed; to within 2.5 %.
        waited_p50, waited_p95: Seconds, of those that were started once; likewise.
    """

    job_type: str
    state: str
    jobs: int
    per_minute: float
    ran_p50: float | None
    ran_p95: float | None
    waited_p50: float | None
    waited_p95: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """What ended over a time.

    Attributes:
        steps: The oldest first, each as long as the others.
        types: By job type and state.
        is_complete: Not only the newer part of it has been counted; to ask again counts more.
    """

    steps: list[Step]
    types: list[OfType]
    is_complete: bool

    @property
    def completed(self) -> int:
        return sum(step.completed for step in self.steps)

    @property
    def dead(self) -> int:
        return sum(step.dead for step in self.steps)


@dataclass(slots=True)
class _Tally:
    """Jobs, and of how many of them a time is known, by its logarithm."""

    jobs: int = 0
    ran: Counter[int] = field(default_factory=Counter)
    waited: Counter[int] = field(default_factory=Counter)


def ended(*, steps: int, seconds: int) -> Ended:
    """Return what ended in the last steps, of which the last is still going on.

    Args:
        steps: How many.
        seconds: How long each is: a minute, or some hours.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    now: datetime = in_transaction(lambda tx: tx.execute(text("SELECT now()")).scalar_one())
    minutes_end = buckets.closed(now, MINUTE)
    if seconds == MINUTE:
        first = minutes_end - timedelta(seconds=MINUTE * (steps - 1))
        spans = [Span(MINUTE, first, minutes_end)]
    else:
        first = buckets.floor(now, seconds) - timedelta(seconds=seconds * (steps - 1))
        hours_end = max(first, buckets.closed(now, HOUR))
        spans = [Span(MINUTE, hours_end, minutes_end), Span(HOUR, first, hours_end)]
    deadline = time.monotonic() + BUDGET
    is_complete = all(buckets.count_up(ENDED, span, deadline) for span in spans)
    found = in_transaction(lambda tx: list(_read(tx, spans, minutes_end, now)))
    return Ended(
        _steps(found, first, steps, seconds),
        list(_types(found, (now - first).total_seconds())),
        is_complete,
    )


def _read(
    connection: Connection, spans: Iterable[Span], closed: datetime, now: datetime
) -> Iterator[tuple[datetime, Any]]:
    """Yield the buckets that are kept, and what ended after them."""
    for span in spans:
        yield from buckets.read(connection, ENDED, span)
    for one in _count(connection, closed, now, HOUR).values():
        yield closed, one


def _steps(
    found: Iterable[tuple[datetime, Any]], first: datetime, steps: int, seconds: int
) -> list[Step]:
    counted: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for since, value in found:
        number = int((since - first).total_seconds() // seconds)
        for states in value.values():
            for state, (jobs, *_) in states.items():
                counted[number][state] += jobs
    return [
        Step(
            first + timedelta(seconds=seconds * number),
            counted[number]["completed"],
            counted[number]["dead"],
        )
        for number in range(steps)
    ]


def _types(found: Iterable[tuple[datetime, Any]], seconds: float) -> Iterator[OfType]:
    tallies: defaultdict[tuple[str, str], _Tally] = defaultdict(_Tally)
    for _, value in found:
        for job_type, states in value.items():
            for state, (jobs, ran, waited) in states.items():
                tally = tallies[job_type, state]
                tally.jobs += jobs
                for part, count in ran.items():
                    tally.ran[int(part)] += count
                for part, count in waited.items():
                    tally.waited[int(part)] += count
    for (job_type, state), tally in sorted(tallies.items()):
        yield OfType(
            job_type=job_type,
            state=state,
            jobs=tally.jobs,
            per_minute=tally.jobs * 60 / seconds,
            ran_p50=_quantile(tally.ran, 0.5),
            ran_p95=_quantile(tally.ran, 0.95),
            waited_p50=_quantile(tally.waited, 0.5),
            waited_p95=_quantile(tally.waited, 0.95),
        )


def _quantile(times: Counter[int], share: float) -> float | None:
    """Return the time that such a share of the jobs did not take longer than."""
    if not times:
        return None
    parts = sorted(times)
    reached = accumulate(times[part] for part in parts)
    wanted = share * times.total()
    part = next(one for one, count in zip(parts, reached, strict=True) if count >= wanted)
    found = exp((part + 0.5) / PARTS)
    return found if found > 2 * SHORTEST else 0.0


def _count(
    connection: Connection, since: datetime, until: datetime, seconds: int
) -> dict[int, dict[str, Any]]:
    """Count by bucket, type and state: jobs, and those that ran, and waited, for so long."""
    counted: defaultdict[int, defaultdict[tuple[str, str], _Tally]]
    counted = defaultdict(lambda: defaultdict(_Tally))
    given = {"since": since, "until": until, "seconds": seconds}
    for row in connection.execute(_COUNT, given):
        tally = counted[row.bucket][row.job_type, row.state]
        tally.jobs += row.jobs
        if row.ran is not None:
            tally.ran[row.ran] += row.jobs
        if row.waited is not None:
            tally.waited[row.waited] += row.jobs
    return {bucket: _as_json(tallies) for bucket, tallies in counted.items()}


def _as_json(tallies: dict[tuple[str, str], _Tally]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for (job_type, state), tally in tallies.items():
        value.setdefault(job_type, {})[state] = [tally.jobs, dict(tally.ran), dict(tally.waited)]
    return value


#: What is kept of what ended in a minute or an hour.
ENDED = Kind("ended", _count)
