"""The SQL of a sweep: which rows need it, taken so that no two sweeps take the same."""

from dataclasses import dataclass

from sqlalchemy import TextClause, TextualSelect, text
from sqlalchemy.dialects.postgresql import JSONB

from .attempt_sql import KEPT_ATTEMPTS, LOST_ATTEMPT, LOST_COUNT
from .job_rows import TO_PUBLISH
from .pauses import holding

# Whether `twin` is the job `put_back`, enqueued once more since a person put that back: the guide
# of the TypeScript starter does both. The work is then the twin's, so that it is not done twice.
# Asked of no other job, or PostgreSQL would read the whole table to compare them all.
_IS_TWIN = """
    put_back.generation > 0 AND put_back.status = 'pending' AND put_back.published_at IS NULL
    AND put_back.pause IS NULL
    AND twin.job_type = put_back.job_type AND twin.created_at > put_back.updated_at
    AND twin.id > put_back.id AND twin.payload->'payload' = put_back.payload->'payload'
    AND twin.user_id IS NOT DISTINCT FROM put_back.user_id
    AND twin.organization_id IS NOT DISTINCT FROM put_back.organization_id
"""

DONE_BY_TWIN = text(
    f"""
    UPDATE job_executions AS put_back
       SET status = 'completed', result = twin.result, completed_at = now(), updated_at = now()
      FROM job_executions AS twin
     WHERE {_IS_TWIN} AND twin.status = 'completed'
    RETURNING put_back.job_id, twin.job_id AS twin_id
    """  # noqa: S608 - the only values in the text are this module's
)

_UNPUBLISHED = """
    status = 'pending' AND published_at IS NULL AND pause IS NULL AND max_retries IS NOT NULL
    AND updated_at < now() - make_interval(secs => :grace)
"""
_LOST = """
    status = 'processing' AND pause IS NULL
    AND lease_expires_at < now() - make_interval(secs => :grace)
"""


@dataclass(frozen=True, slots=True)
class SweepStep:
    """What a sweep does to one kind of rows, in two statements: find them, then take them.

    The first reads nothing of a row that could be unreadable, so that each row can be taken by
    itself where one of them spoils the whole.
    """

    find: TextClause
    take: TextualSelect


# `updated_at` is the claim: taking a row makes it too recent for other sweeps, so that no lock
# is held while QStash is talked to, and a crash leaves it to the next sweep. A row without
# `max_retries` was recorded by the TypeScript starter, which publishes by itself. What is found for
# the first time since it was paused is not found again.
PUBLISH = SweepStep(
    find=text(
        f"""
        SELECT id, job_id FROM job_executions AS put_back
         WHERE {_UNPUBLISHED} AND job_type = ANY(:types) AND id <> ALL(CAST(:aside AS bigint[]))
           AND (put_back.generation = 0 OR NOT EXISTS (
                    SELECT FROM job_executions AS twin
                     WHERE {_IS_TWIN} AND twin.dead_at IS NULL AND twin.status <> 'cancelled'))
         ORDER BY created_at, id LIMIT :limit
           FOR UPDATE SKIP LOCKED
        """  # noqa: S608 - the only values in the text are this package's constants
    ),
    take=text(
        f"""
        UPDATE job_executions AS job SET updated_at = now(), pause = {holding("job")}
         WHERE id = ANY(:ids) AND {_UNPUBLISHED}
        RETURNING {TO_PUBLISH}
        """  # noqa: S608 - as above
    ).columns(payload=JSONB, options=JSONB),
)

# Back to the outbox as a separate publish, or dead if that happened too often: a job that kills
# its process would otherwise do so for ever. What was to be cancelled is cancelled.
RESCUE = SweepStep(
    find=text(
        f"""
        SELECT id, job_id FROM job_executions
         WHERE {_LOST} AND id <> ALL(CAST(:aside AS bigint[]))
         ORDER BY lease_expires_at LIMIT :limit
           FOR UPDATE SKIP LOCKED
        """  # noqa: S608 - as above
    ),
    take=text(
        f"""
        WITH lost AS (
            SELECT id AS lost_id, message_id AS old_message_id, {LOST_COUNT} AS times,
                   CASE WHEN cancelled_at IS NOT NULL THEN 'cancelled'
                        WHEN {LOST_COUNT} > least(coalesce(max_retries, 3), {KEPT_ATTEMPTS - 1})
                        THEN 'failed' ELSE 'pending' END AS becomes
              FROM job_executions
             WHERE id = ANY(:ids) AND {_LOST}
               FOR UPDATE)
        UPDATE job_executions AS job
           SET status = becomes, updated_at = now(),
               error = CASE becomes
                   WHEN 'failed' THEN 'the process died or was cut off ' || times
                                      || ' times, which is more often than the retries allow'
                   WHEN 'pending' THEN 'the process died or was cut off; the job was put back'
                   ELSE error END,
               dead_at = CASE becomes WHEN 'failed' THEN now() END,
               completed_at = CASE WHEN becomes <> 'pending' THEN now() END,
               attempts = {LOST_ATTEMPT}, lease_token = NULL, lease_expires_at = NULL,
               reschedules = reschedules + 1, max_retries = coalesce(max_retries, 3),
               pause = CASE becomes WHEN 'pending' THEN {holding("job")} END,
               published_at = CASE WHEN becomes <> 'pending' THEN published_at END,
               message_id = CASE WHEN becomes <> 'pending' THEN message_id END
          FROM lost WHERE job.id = lost_id
        RETURNING {TO_PUBLISH}, job.status, old_message_id
        """  # noqa: S608 - as above
    ).columns(payload=JSONB, options=JSONB),
)

# What waits to be published, and for no pause to end: how many, up to a cap, and for how many
# seconds the first.
UNPUBLISHED = text(
    """
    SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
      FROM (SELECT created_at FROM job_executions
             WHERE status = 'pending' AND published_at IS NULL AND pause IS NULL
               AND max_retries IS NOT NULL
             ORDER BY created_at LIMIT :cap) AS waiting
    """
)

# Whether a job waits for a sweep, or may soon: what is not published, and what a handler runs for.
UNSETTLED = text(
    """
    SELECT EXISTS (SELECT FROM job_executions
                    WHERE status = 'pending' AND published_at IS NULL AND pause IS NULL)
        OR EXISTS (SELECT FROM job_executions WHERE status = 'processing' AND pause IS NULL)
    """
)

# Only what QStash may have given up by now; each part has its own index.
OLDEST_WAITING = text(
    """
    SELECT min(created_at) FROM (
        SELECT created_at FROM job_executions
         WHERE status = 'pending' AND published_at IS NOT NULL AND pause IS NULL
           AND coalesce(available_at, created_at) < now()
        UNION ALL
        SELECT created_at FROM job_executions WHERE status = 'failed' AND dead_at IS NULL
        UNION ALL
        SELECT created_at FROM job_executions
         WHERE status = 'processing' AND pause IS NULL
           AND coalesce(lease_expires_at, '-infinity') < now()
    ) AS waiting
    """
)

# What a dead letter is about, as `given_up` asks before it marks a job dead.
STANDING = text(
    """
    SELECT job_id, message_id, generation = 0 AND legs = 0 AND reschedules = 0 AS is_first,
           dead_at IS NOT NULL OR status IN ('completed', 'cancelled') AS is_final
      FROM job_executions WHERE job_id = ANY(CAST(:job_ids AS text[]))
    """
)
