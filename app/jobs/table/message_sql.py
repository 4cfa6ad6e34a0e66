"""SQL for what QStash says of a job's message, other than by delivering it: given up, lost."""

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from .attempt_sql import KEPT_ATTEMPTS, LOST_ATTEMPT
from .job_rows import TO_PUBLISH
from .pauses import holding

# Only the message that the row waits for: an older one, given up after the job was published again,
# says nothing about the newer.
_AWAITED = """
    job_id = :job_id AND dead_at IS NULL
    AND (message_id = :message_id
         OR message_id IS NULL AND generation = 0 AND legs = 0 AND reschedules = 0)
"""

# A running handler is left to end. One whose process died is the sweep's, which puts the job back:
# while its lease lasted, QStash's deliveries were refused, and did not count as attempts. Only
# where the lost attempt was the last of these, or the job was called off, is this its end.
GIVE_UP = text(
    f"""
    UPDATE job_executions
       SET status = CASE WHEN cancelled_at IS NULL THEN 'failed' ELSE 'cancelled' END,
           dead_at = CASE WHEN cancelled_at IS NULL THEN now() END,
           error = :error, completed_at = now(), updated_at = now(),
           attempts = CASE WHEN status <> 'processing' THEN attempts ELSE {LOST_ATTEMPT} END,
           lease_token = NULL, lease_expires_at = NULL,
           published_at = coalesce(published_at, now()),
           message_id = :message_id
     WHERE {_AWAITED}
       AND (status IN ('pending', 'failed')
            OR status = 'processing' AND lease_expires_at IS NULL
            OR status = 'processing' AND lease_expires_at < now()
               AND (retry_count >= coalesce(max_retries, 0) OR cancelled_at IS NOT NULL))
    RETURNING status
    """  # noqa: S608 - the only values in the text are this package's
)

# The last thing that QStash heard was that this app could not run the job just then. Where the
# handler has not run as often as the retries allow, that is no reason to give the job up: the sweep
# publishes it again. A bound on it keeps an app that can never run it from trying for ever.
PUT_BACK_UNRUN = text(
    f"""
    UPDATE job_executions
       SET status = 'pending', error = :error, updated_at = now(),
           message_id = NULL, published_at = NULL, reschedules = reschedules + 1,
           pause = {holding("job_executions")}
     WHERE {_AWAITED} AND status IN ('pending', 'failed') AND cancelled_at IS NULL
       AND max_retries IS NOT NULL AND reschedules < :most
       AND (SELECT count(*) FROM jsonb_array_elements(attempts) AS kept
             WHERE kept->>'message_id' = :message_id) <= max_retries
    """  # noqa: S608 - as above
)

# Of a worker elsewhere: only for the message that the row waits for, each attempt once, and none
# after a later one.
END_ELSEWHERE = text(
    f"""
    UPDATE job_executions
       SET status = :status, result = CAST(:result AS jsonb), error = :error, dead_at = NULL,
           retry_count = :retried, message_id = :message_id, updated_at = now(),
           started_at = coalesce(started_at, now()), published_at = coalesce(published_at, now()),
           completed_at = CASE WHEN :status = 'completed' THEN now() END,
           attempts = CASE WHEN jsonb_array_length(attempts) < {KEPT_ATTEMPTS} THEN attempts
                           ELSE attempts - 0 END || CAST(:attempt AS jsonb)
     WHERE job_id = :job_id AND job_type = :job_type AND status IN ('pending', 'failed')
       AND (:status = 'completed' OR dead_at IS NULL AND retry_count <= :retried)
       AND (message_id = :message_id OR :status = 'completed' AND dead_at IS NOT NULL
            OR message_id IS NULL AND generation = 0 AND reschedules = 0)
       AND NOT attempts @> jsonb_build_array(jsonb_build_object(
               'message_id', CAST(:message_id AS text), 'retried', CAST(:retried AS int)))
    """  # noqa: S608 - the only values in the text are this package's numbers
)

# Locks the row: noted between this and `END_ELSEWHERE`, an attempt would be neither recorded nor
# put off.
IS_ABOUT_TO_BE_NOTED = text(
    """
    SELECT status = 'pending' AND message_id IS NULL FROM job_executions
     WHERE job_id = :job_id AND job_type = :job_type
       FOR UPDATE
    """
)

COMPLETE_ELSEWHERE = text(
    """
    UPDATE job_executions
       SET status = 'completed', error = NULL, dead_at = NULL, completed_at = now(),
           updated_at = now()
     WHERE job_id = :job_id AND message_id = :message_id AND status IN ('pending', 'failed')
    """
)

# QStash has lost the message. Only if nothing happened to the row since the two were compared.
PUT_BACK_LOST = text(
    f"""
    UPDATE job_executions AS job
       SET status = 'pending', message_id = NULL, published_at = NULL, updated_at = now(),
           pause = {holding("job")},
           reschedules = reschedules + 1, max_retries = coalesce(max_retries, 3)
     WHERE job_id = :job_id AND message_id = :message_id AND updated_at = :updated_at
    RETURNING {TO_PUBLISH}
    """  # noqa: S608 - the only values in the text are this package's constants
).columns(payload=JSONB, options=JSONB)
