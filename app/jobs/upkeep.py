"""The SQL of maintenance: which rows need it, taken so that no two sweeps take the same."""

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from app.jobs.lost_attempts import LOST_ATTEMPT, LOST_COUNT
from app.jobs.republish import COLUMNS
from app.jobs.statements import KEPT_ATTEMPTS

# `updated_at` is the claim: whoever takes a row makes it too young for the others, so that no lock
# is held while QStash is talked to, and a crash leaves it to the next sweep. A row without
# `max_retries` was recorded by the TypeScript starter, which publishes by itself.
TAKE_UNPUBLISHED = text(
    f"""
    WITH waiting AS (
        SELECT id AS waiting_id FROM job_executions
         WHERE status = 'pending' AND published_at IS NULL AND max_retries IS NOT NULL
           AND updated_at < now() - make_interval(secs => :grace)
           AND job_type = ANY(:types)
         ORDER BY created_at, id LIMIT :limit
           FOR UPDATE SKIP LOCKED)
    UPDATE job_executions AS job SET updated_at = now()
      FROM waiting WHERE job.id = waiting_id
    RETURNING {COLUMNS}
    """  # noqa: S608 - the only values in the text are this package's constants
).columns(payload=JSONB, options=JSONB)

# Back to the outbox as a publish of its own, or dead if that happened too often: a job that kills
# its process would otherwise do so for ever. What was to be cancelled is cancelled.
RESCUE = text(
    f"""
    WITH lost AS (
        SELECT id AS lost_id, message_id AS old_message_id, {LOST_COUNT} AS times,
               CASE WHEN cancelled_at IS NOT NULL THEN 'cancelled'
                    WHEN {LOST_COUNT} > least(coalesce(max_retries, 3), {KEPT_ATTEMPTS - 1})
                    THEN 'failed' ELSE 'pending' END AS becomes
          FROM job_executions
         WHERE status = 'processing'
           AND lease_expires_at < now() - make_interval(secs => :grace)
         ORDER BY lease_expires_at LIMIT :limit
           FOR UPDATE SKIP LOCKED)
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
           published_at = CASE WHEN becomes <> 'pending' THEN published_at END,
           message_id = CASE WHEN becomes <> 'pending' THEN message_id END
      FROM lost WHERE job.id = lost_id
    RETURNING {COLUMNS}, job.status, old_message_id
    """  # noqa: S608 - likewise
).columns(payload=JSONB, options=JSONB)

# Only what QStash may have given up by now; each part has an index of its own.
OLDEST_WAITING = text(
    """
    SELECT min(created_at) FROM (
        SELECT created_at FROM job_executions
         WHERE status = 'pending' AND published_at IS NOT NULL
           AND coalesce(available_at, created_at) < now()
        UNION ALL
        SELECT created_at FROM job_executions WHERE status = 'failed' AND dead_at IS NULL
        UNION ALL
        SELECT created_at FROM job_executions
         WHERE status = 'processing' AND coalesce(lease_expires_at, '-infinity') < now()
    ) AS waiting
    """
)

FINAL = text(
    """
    SELECT job_id FROM job_executions
     WHERE job_id = ANY(CAST(:job_ids AS text[]))
       AND (dead_at IS NOT NULL OR status IN ('completed', 'cancelled'))
    """
)
