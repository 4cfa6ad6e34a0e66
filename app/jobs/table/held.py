"""Jobs that a pause holds: they wait in the outbox, and leave it when the pause has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import JSONB

from .attempt_sql import CLAIMABLE, LOST_ATTEMPT, handing_over
from .attempts import Attempt, asked
from .by_hand import FIRED
from .job_rows import TO_PUBLISH
from .marks import FIRING
from .memory import MESSAGE, UNDELIVERED
from .pauses import HOLDING_DELIVERED, holding
from .refusals import ClaimRefused
from .sweep_sql import SweepStep
from .unique_sql import FOLLOWS, NOTES_FOLLOWED, holds, runs

#: How many rows are held at once.
CHUNK = 1_000

_WAITING = "status = 'pending' AND published_at IS NULL"

# Of a delivery that `attempt_sql.CLAIM` refused for a pause: the job goes back to the outbox, for a
# message of its own, and what was delivered brings nothing any more. Only from the state in which
# it was refused: of two deliveries of one message, one puts the job back.
_PUT_BACK = handing_over(
    f"""
    UPDATE job_executions
       SET status = 'pending', pause = {HOLDING_DELIVERED}, message_id = NULL, published_at = NULL,
           reschedules = reschedules + 1, put_backs = put_backs + 1,
           max_retries = coalesce(max_retries, :retries),
           completed_at = NULL, dead_at = NULL, updated_at = now(),
           attempts = CASE WHEN status <> 'processing' THEN attempts ELSE {LOST_ATTEMPT} END,
           lease_token = NULL, lease_expires_at = NULL
     WHERE job_id = :job_id AND job_type = :job_type AND {CLAIMABLE}
       AND generation = :generation AND legs = :legs AND reschedules = :reschedules
    RETURNING {TO_PUBLISH.replace("job.", "job_executions.")}
    """  # noqa: S608 - the only values in the text are this package's
).columns(payload=JSONB, options=JSONB)

# Of a schedule's firing where the one before waits for the same pause: one of them is enough.
# Deleted, it is remembered by what `firings` and a late repetition of its message look for.
_DROP_FIRING = text(
    f"""
    WITH gone AS (
        DELETE FROM job_executions AS job
         WHERE job_id = :job_id AND status = 'pending' AND attempts = CAST('[]' AS jsonb)
           AND {FIRED}
           AND (SELECT status = 'pending' AND published_at IS NULL AND pause IS NOT NULL
                  FROM job_executions AS earlier
                 WHERE earlier.schedule_id = job.schedule_id AND earlier.id < job.id
                 ORDER BY created_at DESC, id DESC LIMIT 1)
        RETURNING schedule_id, payload),
    marked AS (INSERT INTO job_marks (name, at, details)
               SELECT '{FIRING}' || schedule_id, clock_timestamp(),
                      jsonb_build_object('cron', payload->'metadata'->>'cron')
                 FROM gone
               ON CONFLICT (name) DO UPDATE SET at = excluded.at, details = excluded.details),
    done AS (INSERT INTO spent_tokens (digest, job_id, expires_at)
             SELECT {MESSAGE}, CAST(:job_id AS text), now() + interval '{UNDELIVERED} days'
               FROM gone WHERE CAST(:message_id AS text) IS NOT NULL
             ON CONFLICT (digest) DO NOTHING)
    SELECT 1 FROM gone
    """  # noqa: S608 - as above
)

# What waits in the outbox when a pause begins, some at a time.
_HOLD = text(
    f"""
    UPDATE job_executions AS job SET pause = {holding("job")}, updated_at = now()
     WHERE id IN (
        SELECT id FROM job_executions AS job
         WHERE {_WAITING} AND pause IS NULL AND max_retries IS NOT NULL
           AND {holding("job")} IS NOT NULL
         LIMIT {CHUNK} FOR UPDATE SKIP LOCKED)
    """  # noqa: S608 - as above
)

# The pauses for which jobs wait, though they have ended, and the ends of other jobs, though these
# have ended; not the schedules for whose turn some do (`firings.TURN`). Steps from one to the next
# through the index, however many jobs wait for each.
_ENDED = text(
    f"""
    WITH RECURSIVE kept AS (
        (SELECT pause FROM job_executions
          WHERE {_WAITING} AND pause IS NOT NULL ORDER BY pause LIMIT 1)
        UNION ALL
        SELECT following.pause FROM kept, LATERAL (
            SELECT pause FROM job_executions
             WHERE {_WAITING} AND pause IS NOT NULL AND pause > kept.pause
             ORDER BY pause LIMIT 1) AS following)
    SELECT pause FROM kept
     WHERE pause NOT IN (SELECT pause FROM job_pauses) AND pause NOT LIKE 'schedule:%'
       AND NOT EXISTS (SELECT FROM job_executions AS other
                        WHERE starts_with(kept.pause, '{FOLLOWS}')
                          AND other.job_id = substr(kept.pause, {len(FOLLOWS) + 1})
                          AND {runs("other.")} AND {holds("other.")})
    """  # noqa: S608 - as above
)

# What waited for those, the oldest first; another pause may hold it still.
RELEASE = SweepStep(
    find=text(
        f"""
        SELECT id, job_id FROM job_executions
         WHERE {_WAITING} AND pause IS NOT NULL AND pause = ANY(CAST(:ended AS text[]))
           AND job_type = ANY(:types) AND id <> ALL(CAST(:aside AS bigint[]))
         ORDER BY pause, created_at LIMIT :limit
           FOR UPDATE SKIP LOCKED
        """  # noqa: S608 - as above
    ),
    take=text(
        f"""
        UPDATE job_executions AS job
           SET pause = {holding("job")}, updated_at = now(), {NOTES_FOLLOWED}
         WHERE id = ANY(:ids) AND {_WAITING} AND pause = ANY(CAST(:ended AS text[]))
        RETURNING {TO_PUBLISH}
        """  # noqa: S608 - as above
    ).columns(payload=JSONB, options=JSONB),
)

# The job that waited for the end of another; something else may hold it still.
FOLLOWERS = text(
    f"""
    UPDATE job_executions AS job
       SET pause = {holding("job")}, updated_at = now(), {NOTES_FOLLOWED}
     WHERE {_WAITING} AND pause IS NOT NULL AND pause = '{FOLLOWS}' || CAST(:job_id AS text)
       AND {holding("job")} IS DISTINCT FROM pause
    RETURNING {TO_PUBLISH}
    """  # noqa: S608 - as above
).columns(payload=JSONB, options=JSONB)

# How many jobs wait for each pause, up to a cap, and since when the first.
_HELD = text(
    f"""
    SELECT held.pause, count(waiting.created_at) AS jobs, min(waiting.created_at) AS since
      FROM job_pauses AS held LEFT JOIN LATERAL (
        SELECT created_at FROM job_executions AS job
         WHERE {_WAITING} AND job.pause IS NOT NULL AND job.pause = held.pause
         ORDER BY job.pause, created_at LIMIT :cap) AS waiting ON true
     GROUP BY held.pause
    """  # noqa: S608 - as above
)


@dataclass(frozen=True, slots=True)
class Queue:
    """The jobs that wait for one pause.

    Attributes:
        jobs: How many; counting ends at the cap.
        since: When the first of them was enqueued; None where none waits.
    """

    jobs: int
    since: datetime | None


def put_back(connection: Connection, attempt: Attempt, refused: ClaimRefused) -> Row[Any] | None:
    """Return a job to the outbox that a delivery brought under a pause; it costs no retry.

    Returns:
        Its row, with the columns of `job_rows.TO_PUBLISH`, whose `pause` may have ended; None where
        it is not as it was when the claim was refused.
    """
    given = {
        **asked(attempt),
        "retries": attempt.config.retries,
        "generation": refused.generation,
        "legs": refused.legs,
        "reschedules": refused.reschedules,
    }
    return connection.execute(_PUT_BACK, given).one_or_none()


def drop_firing(connection: Connection, attempt: Attempt) -> bool:
    """Forget the row of a schedule's firing if the one before waits; tell whether it did."""
    given = {"job_id": attempt.job_id, "message_id": attempt.delivery.message_id}
    return connection.execute(_DROP_FIRING, given).first() is not None


def followers(connection: Connection, job_id: str) -> Sequence[Row[Any]]:
    """Take the jobs that waited for the end of one out of this; none where it has not ended.

    Returns:
        Their rows, with the columns of `job_rows.TO_PUBLISH`.
    """
    return connection.execute(FOLLOWERS, {"job_id": job_id}).all()


def hold(connection: Connection) -> int:
    """Have up to `CHUNK` jobs in the outbox wait for the pauses that hold them; return how many."""
    return connection.execute(_HOLD).rowcount


def ended(connection: Connection) -> Sequence[str]:
    """Return the pauses that have ended, though jobs still wait for them."""
    return list(connection.execute(_ENDED).scalars())


def queues(connection: Connection, *, cap: int) -> dict[str, Queue]:
    """Return the jobs that wait for each pause that holds."""
    rows = connection.execute(_HELD, {"cap": cap})
    return {row.pause: Queue(row.jobs, row.since) for row in rows}
