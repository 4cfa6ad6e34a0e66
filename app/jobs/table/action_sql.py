"""The SQL of what people do by hand: of rows by `ids`, and of each how it was before."""

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from .job_rows import TO_PUBLISH
from .pauses import holding

_TAKEN = """
    WITH taken AS (SELECT id AS taken_id, status AS old_status, message_id AS old_message_id
                     FROM job_executions WHERE id = ANY(:ids))
"""

RETRY = text(
    f"""
    {_TAKEN}
    UPDATE job_executions AS job
       SET status = 'pending', error = NULL, result = NULL, progress = NULL, retry_count = 0,
           generation = generation + 1, reschedules = 0, put_backs = 0, legs = 0,
           checkpoint = NULL,
           message_id = NULL, published_at = NULL, pause = {holding("job")},
           available_at = NULL, started_at = NULL, completed_at = NULL, dead_at = NULL,
           cancelled_at = NULL, max_retries = coalesce(max_retries, 3), updated_at = now(),
           options = job.options - 'expires',
           unique_key = CASE WHEN coalesce(job.unique_until > now(), true) THEN job.unique_key END
      FROM taken WHERE job.id = taken_id
    RETURNING {TO_PUBLISH}, old_status, old_message_id
    """  # noqa: S608 - the only values in the text are this package's constants
).columns(payload=JSONB, options=JSONB)

# With a new generation, so that QStash takes the message for another one. The handler has not
# begun, so that no effect of its goes by the old one.
MOVE = text(
    f"""
    {_TAKEN}
    UPDATE job_executions AS job
       SET queue = CAST(:queue AS text),
           options = CASE WHEN CAST(:queue AS text) IS NULL THEN job.options - 'queue'
                          ELSE job.options || jsonb_build_object('queue', CAST(:queue AS text)) END,
           pause = {holding("job", moved_to="CAST(:queue AS text)")},
           generation = generation + 1, message_id = NULL, published_at = NULL,
           max_retries = coalesce(max_retries, 3), updated_at = now()
      FROM taken WHERE job.id = taken_id
    RETURNING {TO_PUBLISH}, old_status, old_message_id
    """  # noqa: S608 - as above
).columns(payload=JSONB, options=JSONB)

# A running handler is only asked: `cancelled_at` is what it sees at its next progress or check.
CANCEL = text(
    f"""
    {_TAKEN}
    UPDATE job_executions AS job
       SET status = CASE old_status WHEN 'processing' THEN 'processing' ELSE 'cancelled' END,
           completed_at = CASE old_status WHEN 'processing' THEN job.completed_at ELSE now() END,
           cancelled_at = now(), dead_at = NULL, updated_at = now()
      FROM taken WHERE job.id = taken_id
    RETURNING job.job_id, old_status, old_message_id, job.batch_id::text AS batch_id
    """  # noqa: S608 - as above
)

DELETE = text(
    f"""
    {_TAKEN},
    deleted AS (DELETE FROM job_executions AS job USING taken WHERE job.id = taken_id
                RETURNING job.job_id, old_status, old_message_id),
    remembered AS (INSERT INTO deleted_jobs (job_id) SELECT job_id FROM deleted
                   ON CONFLICT (job_id) DO UPDATE SET deleted_at = now())
    SELECT * FROM deleted
    """  # noqa: S608 - as above
)
