"""How many jobs are where, over all or by type: statements in which an index bounds every part.

So each costs the same with ten thousand rows and with ten million. Counts end at `CAP`; one that is
there means "at least".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from flask import current_app
from sqlalchemy import Connection, TextClause, text

from ..registry import registry_of
from .db import in_transaction
from .firings import TURN
from .models import Status
from .unique_sql import FOLLOWS

#: Where counting ends. The failure rate is that of this many newest jobs.
CAP = 2_000
#: Milliseconds after which `measure_depth` is given up: the next scrape is due soon.
PATIENCE_MS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Counts of jobs.

    Attributes:
        measured_at: The database's time.
        last_hour: Those enqueued in the last hour, by status.
        completed: Those completed in the last hour.
        failed: Those that failed for good in the last hour, or failed in it and wait for a retry.
            Not those that QStash never took: their callers got an error, and nothing ran.
        pending: Those that wait to be delivered, also delayed ones, but not for a pause or another
            job to end.
        overdue: Those of them whose time came more than JOBS_HEALTH_OVERDUE seconds ago.
        oldest_pending_seconds: For how long the first of them has been due; None where none is.
        processing: Those that a handler is running for.
        stuck: Those of them that began more than JOBS_HEALTH_PROCESSING seconds ago and whose
            lease has run out: their process died, and no sweep has put them back.
        retrying: Those whose last attempt failed and that QStash will deliver again.
        paused: Those that wait for a pause to end.
        following: Those that wait for another job to end, as unique jobs and firings may.
        dead: Those that failed for good, however long ago.
        idle: Whether nothing was processed within JOBS_HEALTH_IDLE seconds.
    """

    measured_at: datetime
    last_hour: dict[str, int]
    completed: int
    failed: int
    pending: int
    overdue: int
    oldest_pending_seconds: float | None
    processing: int
    stuck: int
    retrying: int
    paused: int
    following: int
    dead: int
    idle: bool

    @property
    def failure_rate(self) -> float | None:
        """`failed` in relation to it and `completed`, from 0 to 1; None where both are 0."""
        finished = self.completed + self.failed
        return self.failed / finished if finished else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Counts of jobs by type, as a scrape of the metrics asks for.

    Attributes:
        waiting: Those that are not final, by type and state (`STATES`).
        dead: Those that failed for good, however long ago.
        oldest_pending_seconds: For how long the first pending one has been due; 0 where none is.
    """

    waiting: Mapping[tuple[str, str], int]
    dead: int
    oldest_pending_seconds: float


def measure() -> Snapshot:
    """Return the counts as of now.

    Raises:
        DatabaseUnavailable: There are none.
    """
    config = current_app.config
    given = {
        "overdue": config["JOBS_HEALTH_OVERDUE"],
        "processing": config["JOBS_HEALTH_PROCESSING"],
        "idle": config["JOBS_HEALTH_IDLE"],
        "unwatched": sorted(one.type for one in registry_of(current_app) if one.unwatched),
    }
    row = in_transaction(lambda tx: tx.execute(statement(CAP), given).one())
    values = row._asdict()
    last_hour = {str(status): values.pop(f"last_hour_{status}") for status in Status}
    return Snapshot(last_hour=last_hour, **values)


def measure_depth() -> Depth:
    """Return the counts by type as of now; raises as `measure` does."""

    def work(tx: Connection) -> Depth:
        tx.exec_driver_sql(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
        rows = tx.execute(_DEPTH, {"cap": CAP}).all()
        dead, oldest = tx.execute(_DEAD_AND_OLDEST, {"cap": CAP}).one()
        waiting = {(job_type, state): count for job_type, state, count in rows}
        return Depth(waiting=waiting, dead=dead, oldest_pending_seconds=oldest or 0)

    return in_transaction(work)


_HOUR_AGO = "now() - interval '1 hour'"
_DUE = "coalesce(available_at, created_at)"
_PENDING = "status = 'pending' AND pause IS NULL"
_PROCESSING = "status = 'processing' AND pause IS NULL"
_HELD = "status = 'pending' AND published_at IS NULL AND pause IS NOT NULL"


def _waits_for(what: str) -> str:
    """Return the ids of jobs that wait for another's end, as SQL: a part of the index, up to `CAP`.

    The bounds are letters, which any collation has in the same order, as it may have colons not.
    """
    word = what.removesuffix(":")
    after = word[:-1] + chr(ord(word[-1]) + 1)
    return (
        f"(SELECT id FROM job_executions WHERE {_HELD} AND pause > '{word}' AND pause < '{after}'"  # noqa: S608 - our own text
        f" AND starts_with(pause, '{what}') ORDER BY pause, created_at LIMIT {CAP})"
    )


#: What a job that is not final can be. Each with the order of its index, without which the planner
#: might read the table instead: it may think that it meets enough rows of the kind soon enough from
#: the table's start, where the oldest are.
WAITING = {
    "pending": (_PENDING, _DUE),
    "processing": (_PROCESSING, _DUE),
    "retrying": ("status = 'failed' AND dead_at IS NULL", "created_at"),
    "paused": (
        f"{_HELD} AND NOT (starts_with(pause, '{FOLLOWS}') OR starts_with(pause, '{TURN}'))",
        "pause, created_at",
    ),
    "following": (f"id IN ({_waits_for(FOLLOWS)} UNION ALL {_waits_for(TURN)})", "id"),
}
_DEAD = ("status = 'failed' AND dead_at IS NOT NULL", "created_at DESC")
STATES = tuple(WAITING)
_OVERDUE = "now() - make_interval(secs => :overdue)"
# A row of another producer, which says nothing of its options, may have been published by that.
_PUBLISHED = """(published_at IS NOT NULL OR started_at IS NOT NULL OR message_id IS NOT NULL
    OR options = CAST('{}' AS jsonb))"""
_WATCHED = "job_type <> ALL(CAST(:unwatched AS text[]))"


@cache
def statement(cap: int) -> TextClause:
    """Return the statement with the cap written into it: a plan for any cap is a worse one."""
    return text(_FIGURES.replace(":cap", str(cap)))


def _count(condition: str, order: str) -> str:
    """Count up to the cap, in the order of an index."""
    rows = f"SELECT FROM job_executions WHERE {condition} ORDER BY {order} LIMIT :cap"
    return f"(SELECT count(*) FROM ({rows}) AS capped)"  # noqa: S608 - our own text


def _oldest(waiting: str) -> str:
    """Return for how many seconds the first of the pending jobs, as SQL, has been due."""
    return f"""
        (SELECT CAST(extract(epoch FROM now() - due) AS float8)
           FROM (SELECT min(due) AS due FROM {waiting}) AS oldest
          WHERE due < now() AND isfinite(due))
    """  # noqa: S608 - as above


_LAST_HOUR = ", ".join(
    _count(f"status = '{status}' AND created_at > {_HOUR_AGO}", "created_at DESC")
    + f" AS last_hour_{status}"
    for status in Status
)

# An attempt that failed and is retried has not completed; its row changed last when it failed.
# What waits and what runs is read once each: where somebody holds a snapshot open, their index also
# has an entry for each job that has ended since.
_FIGURES = f"""
    WITH finished AS (
        SELECT status, published FROM (
            SELECT status, job_type, {_PUBLISHED} AS published FROM job_executions
             WHERE completed_at > {_HOUR_AGO}
             ORDER BY completed_at DESC LIMIT :cap) AS newest
         WHERE {_WATCHED}),
    retrying AS (
        SELECT updated_at, job_type FROM job_executions
         WHERE status = 'failed' AND dead_at IS NULL ORDER BY created_at LIMIT :cap),
    waiting AS (
        SELECT {_DUE} AS due FROM job_executions
         WHERE {_PENDING} ORDER BY {_DUE} LIMIT :cap),
    running AS (
        SELECT job_type, coalesce(started_at, created_at) AS since,
               coalesce(lease_expires_at, '-infinity') AS until
          FROM job_executions WHERE {_PROCESSING}),
    latest AS (
        SELECT completed_at AS at FROM job_executions
         WHERE completed_at > now() - make_interval(secs => :idle) AND {_WATCHED}
         ORDER BY completed_at DESC LIMIT 1)
    SELECT now() AS measured_at, {_LAST_HOUR},
        (SELECT count(*) FROM finished WHERE status = 'completed') AS completed,
        (SELECT count(*) FROM finished WHERE status = 'failed' AND published)
        + (SELECT count(*) FROM retrying
            WHERE updated_at > {_HOUR_AGO} AND {_WATCHED}) AS failed,
        (SELECT count(*) FROM waiting) AS pending,
        (SELECT count(*) FROM waiting WHERE due < {_OVERDUE}) AS overdue,
        {_oldest("waiting")} AS oldest_pending_seconds,
        (SELECT least(count(*), :cap) FROM running) AS processing,
        (SELECT count(*) FROM running
          WHERE until < now() AND since < now() - make_interval(secs => :processing)) AS stuck,
        (SELECT count(*) FROM retrying) AS retrying,
        {_count(*WAITING["paused"])} AS paused,
        {_count(*WAITING["following"])} AS following,
        {_count(*_DEAD)} AS dead,
        NOT EXISTS (SELECT FROM latest)
        AND NOT EXISTS (SELECT FROM retrying
                         WHERE updated_at > now() - make_interval(secs => :idle) AND {_WATCHED})
        AND NOT EXISTS (SELECT FROM running WHERE until > now() AND {_WATCHED}) AS idle
    """  # noqa: S608 - as above

_DEPTH = text(
    " UNION ALL ".join(
        f"""
        SELECT job_type, '{state}' AS state, count(*) FROM (
            SELECT job_type FROM job_executions
             WHERE {condition} ORDER BY {order} LIMIT :cap) AS capped
         GROUP BY job_type
        """  # noqa: S608 - as above
        for state, (condition, order) in WAITING.items()
    )
)

_OF_PENDING = f"(SELECT {_DUE} AS due FROM job_executions WHERE {_PENDING}) AS pending"  # noqa: S608 - as above
_DEAD_AND_OLDEST = text(f"SELECT {_count(*_DEAD)}, {_oldest(_OF_PENDING)}")
