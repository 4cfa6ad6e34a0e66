"""The SQL of an attempt's state changes, each one statement, built once.

Written out rather than built from columns: these are the statements on which "never twice" rests,
and they are read more often than changed.
"""

from functools import cache

from sqlalchemy import TextClause, text

from ..durations import LONGEST_DELAY
from ..values.unique import ONCE_MORE
from .marks import EMPTY_RUN, FIRING, TODAY
from .memory import MESSAGE, UNDELIVERED
from .pauses import HOLDING_DELIVERED, IS_HELD, holding
from .unique_sql import IS_OUTDATED

KEPT_ATTEMPTS = 20

#: Seconds that a lease outlives its handler's timeout, in which the outcome is recorded.
LEASE_MARGIN = 15

#: `attempts` with the one under way added as lost; the oldest makes room.
LOST_ATTEMPT = f"""
    CASE WHEN jsonb_array_length(attempts) < {KEPT_ATTEMPTS} THEN attempts ELSE attempts - 0 END
    || jsonb_build_object(
           'number', coalesce((attempts->-1->>'number')::int, 0) + 1, 'leg', legs + 1,
           'message_id', message_id, 'started_at', started_at, 'outcome', 'lost',
           'error', 'the process died or was cut off, and its lease ran out')
"""

#: How many attempts at the present leg were lost, the one under way included.
LOST_COUNT = """
    (SELECT 1 + count(*) FROM jsonb_array_elements(attempts) AS kept
      WHERE kept->>'outcome' = 'lost' AND coalesce((kept->>'leg')::int, 1) = legs + 1)
"""

#: How this message's part of the job ended, if the rest has its own message: its handler
#: raised `Continue` or `RetryLater`, or its process had to let it go. Delivered again, it must not
#: run what the newer one brings in its time and with all its retries.
#: Beyond the attempts that are kept, `memory` knows.
HANDED_OVER = f"""
    coalesce(
        (SELECT kept->>'outcome' FROM jsonb_array_elements(attempts) AS kept
          WHERE kept->>'message_id' = CAST(:message_id AS text)
            AND kept->>'outcome' IN ('continued', 'rescheduled', 'released') LIMIT 1),
        (SELECT 'handed over' FROM spent_tokens WHERE digest = {MESSAGE}))
"""  # noqa: S608 - the only values in the text are this package's

#: Whether this delivery's token has brought an attempt by another message. The message's id comes
#: in an unsigned header: anyone who has seen a delivery could send it again as a new message.
_FORGED = """
    EXISTS (SELECT FROM jsonb_array_elements(attempts) AS kept
             WHERE kept->>'delivered_by' = :delivered_by
               AND kept->>'message_id' IS DISTINCT FROM CAST(:message_id AS text))
"""

#: A dead job is run again where a person has QStash redrive it: by a message that is unknown here,
#: and by a token of after the job's death, as what came before was signed before.
_REDRIVEN = """
    CAST(:message_id AS text) <> coalesce(message_id, '')
    AND NOT attempts @> jsonb_build_array(
            jsonb_build_object('message_id', CAST(:message_id AS text)))
    AND CAST(:issued_at AS float8) >= extract(epoch FROM date_trunc('second', dead_at))
"""

#: Whether the row's state and this message allow an attempt, whatever is paused.
CLAIMABLE = f"""
    (status = 'pending'
     OR status = 'failed' AND dead_at IS NULL
     OR status = 'failed' AND {_REDRIVEN}
     OR status = 'processing' AND cancelled_at IS NULL
        AND coalesce(lease_expires_at,
                     started_at + make_interval(secs => :timeout + {LEASE_MARGIN}),
                     '-infinity') < now())
    AND {HANDED_OVER} IS NULL AND NOT {_FORGED}
"""

# The claim need not be on disk before the handler starts: if PostgreSQL crashes and forgets it, the
# handler's completion finds no lease and rolls back, and the job is delivered again. So it asks for
# a lazy commit, in RETURNING because that costs no extra statement; but for a type that acts
# outside, where a second handler could begin what the first has done.
# A job that somebody else published has no `max_retries`: only QStash knows how often it will try,
# so such a job is dead when QStash has given it up, and never before.
# `now()` in the claim, which is a separate transaction; `clock_timestamp()` in the others, whose
# transaction may be as old as the handler. A row that the TypeScript starter set to processing has
# no lease: it counts as held for as long as one of ours would be.
# As JSON an owner's id is a number or a text, whatever column JOBS_ID_TYPE makes of it.
CLAIM = text(
    f"""
    UPDATE job_executions
       SET status = 'processing', started_at = now(), updated_at = now(),
           completed_at = NULL, dead_at = NULL,
           lease_token = :token,
           lease_expires_at = now() + make_interval(secs => {LEASE_MARGIN} +
               least(coalesce((options->>'timeout')::float8, :timeout),
                     CAST(:heartbeat AS float8))),
           retry_count = least(:retried, coalesce(max_retries, :retried)),
           message_id = coalesce(:message_id, message_id),
           published_at = coalesce(published_at, now()), pause = NULL,
           attempts = CASE WHEN status <> 'processing' THEN attempts ELSE {LOST_ATTEMPT} END
     WHERE job_id = :job_id AND job_type = :job_type AND {CLAIMABLE}
       AND NOT {IS_HELD} AND NOT {IS_OUTDATED}
    RETURNING generation, legs + 1 AS leg, checkpoint AS state,
              reschedules - put_backs AS reschedules, max_retries,
              retry_count AS retried,
              to_jsonb(user_id) AS user_id, to_jsonb(organization_id) AS organization_id,
              extract(epoch FROM now() - coalesce(available_at, created_at))::float8 AS waited,
              coalesce((options->>'timeout')::float8, :timeout) AS timeout,
              batch_id::text AS batch_id,
              slot IS NOT NULL
                AND (SELECT batch.cancelled_at IS NOT NULL FROM job_batches AS batch
                      WHERE batch.id = job_executions.batch_id) AS called_off,
              legs = 0 AND (options->>'expires')::timestamptz <= now() AS expired,
              schedule_id, scheduled_for,
              unique_while IS NOT DISTINCT FROM '{ONCE_MORE}' AS once_more,
              CASE WHEN CAST(:synchronous AS bool)
                     OR set_config('synchronous_commit', 'off', true) = 'off'
                   THEN coalesce((attempts->-1->>'number')::int, 0) + 1 END AS attempt
    """  # noqa: S608 - the only values in the text are this module's numbers
)

PEEK = text(
    f"""
    SELECT job_type, status, dead_at IS NOT NULL AS dead,
           extract(epoch FROM lease_expires_at - now())::float8 AS lease_left,
           {HANDED_OVER} AS handed_over, max_retries, {HOLDING_DELIVERED} AS pause,
           generation, legs, reschedules,
           {IS_OUTDATED} AS is_outdated,
           {IS_OUTDATED} AND published_at IS NOT NULL
             AND message_id IS DISTINCT FROM CAST(:message_id AS text) AS has_newer
      FROM job_executions WHERE job_id = :job_id
    """  # noqa: S608 - as above
)

_KEEP_ATTEMPT = f"""
           attempts = CASE WHEN jsonb_array_length(attempts) < {KEPT_ATTEMPTS} THEN attempts
                           ELSE attempts - 0 END || CAST(:attempt AS jsonb),
           lease_token = NULL, lease_expires_at = NULL, updated_at = clock_timestamp()
"""

_KEEP_LOGS = f"""
           logs = CASE WHEN jsonb_typeof(logs) IS DISTINCT FROM 'array' THEN '[]'
                       WHEN jsonb_array_length(logs) < {KEPT_ATTEMPTS} THEN logs
                       ELSE logs - 0 END || CAST(:logged AS jsonb),
"""

_KEEP_PROGRESS = "progress = coalesce(CAST(:progress AS jsonb), progress)"

# A job that somebody cancelled while it ran is not tried again, however this attempt ended.
_UNLESS_CANCELLED = "CASE WHEN cancelled_at IS NULL THEN '{}' ELSE 'cancelled' END"

COMPLETE = text(
    f"""
    UPDATE job_executions
       SET status = 'completed', result = CAST(:result AS jsonb), error = NULL,
           cancelled_at = NULL, {_KEEP_PROGRESS},
           completed_at = clock_timestamp(), {_KEEP_ATTEMPT}
     WHERE job_id = :job_id AND lease_token = :token
    RETURNING status
    """  # noqa: S608 - as above
)

# A firing that found nothing to do, instead of `COMPLETE`: `firings` and `usage` know of it without
# its row.
FORGET = text(
    f"""
    WITH gone AS (DELETE FROM job_executions WHERE job_id = :job_id AND lease_token = :token
                  RETURNING job_type, schedule_id, retry_count, payload),
    marked AS (INSERT INTO job_marks (name, at, details)
               SELECT '{FIRING}' || schedule_id, clock_timestamp(),
                      jsonb_build_object('cron', payload->'metadata'->>'cron')
                 FROM gone WHERE schedule_id IS NOT NULL
               ON CONFLICT (name) DO UPDATE SET at = excluded.at, details = excluded.details),
    counted AS (INSERT INTO job_tallies AS tally (day, kind, name, messages)
                SELECT {TODAY}, '{EMPTY_RUN}', job_type, retry_count + 1 FROM gone
                ON CONFLICT (day, kind, name)
                DO UPDATE SET messages = tally.messages + excluded.messages)
    SELECT 1 FROM gone
    """  # noqa: S608 - as above
)

FAIL = text(
    f"""
    UPDATE job_executions
       SET status = {_UNLESS_CANCELLED.format("failed")}, error = :error,
           dead_at = CASE WHEN cancelled_at IS NULL
                           AND (:permanent OR retry_count >= max_retries)
                          THEN clock_timestamp() END,
           completed_at = CASE WHEN cancelled_at IS NOT NULL
                                 OR :permanent OR retry_count >= max_retries
                               THEN clock_timestamp() END, {_KEEP_ATTEMPT}
     WHERE job_id = :job_id AND lease_token = :token
    RETURNING status, coalesce(:permanent OR retry_count >= max_retries, false) AS was_last
    """  # noqa: S608 - as above
)


def handing_over(update: str) -> TextClause:
    """Return the statement that puts a job back, and notes that its present message is done."""
    return text(
        f"""
        WITH put_back AS ({update}),
        done AS (INSERT INTO spent_tokens (digest, job_id, expires_at)
                 SELECT {MESSAGE}, CAST(:job_id AS text), now() + interval '{UNDELIVERED} days'
                   FROM put_back WHERE CAST(:message_id AS text) IS NOT NULL
                 ON CONFLICT (digest) DO NOTHING)
        SELECT * FROM put_back
        """  # noqa: S608 - as above
    )


_HOLDING = holding("job_executions")

RESCHEDULE = handing_over(
    f"""
    UPDATE job_executions
       SET status = {_UNLESS_CANCELLED.format("pending")}, error = :error,
           reschedules = reschedules + 1, message_id = NULL, published_at = NULL,
           put_backs = put_backs + (CAST(:attempt AS jsonb)->>'outcome' = 'released')::int,
           max_retries = coalesce(max_retries, :retries), pause = {_HOLDING},
           available_at = clock_timestamp() + make_interval(secs => least(:delay, {LONGEST_DELAY})),
           completed_at = CASE WHEN cancelled_at IS NOT NULL THEN clock_timestamp() END,
           {_KEEP_ATTEMPT}
     WHERE job_id = :job_id AND lease_token = :token
    RETURNING status, job_type, payload, options, max_retries, generation, legs, reschedules,
              available_at, pause
    """  # noqa: S608 - as above
)

# The next leg starts afresh: with all retries, and without the delay that the job had at first.
CONTINUE = handing_over(
    f"""
    UPDATE job_executions
       SET status = {_UNLESS_CANCELLED.format("pending")}, error = NULL,
           checkpoint = CAST(:state AS jsonb), legs = legs + 1, {_KEEP_PROGRESS},
           retry_count = 0, reschedules = 0, put_backs = 0, message_id = NULL,
           published_at = NULL,
           max_retries = coalesce(max_retries, :retries), pause = {_HOLDING},
           available_at = NULL,
           completed_at = CASE WHEN cancelled_at IS NOT NULL THEN clock_timestamp() END,
           {_KEEP_ATTEMPT}
     WHERE job_id = :job_id AND lease_token = :token
    RETURNING status, job_type, payload, options, max_retries, generation, legs, reschedules,
              available_at, pause
    """  # noqa: S608 - as above
)

CANCEL = text(
    f"""
    UPDATE job_executions
       SET status = 'cancelled', error = :error, completed_at = clock_timestamp(),
           cancelled_at = coalesce(cancelled_at, clock_timestamp()), {_KEEP_ATTEMPT}
     WHERE job_id = :job_id AND lease_token = :token
    RETURNING status
    """  # noqa: S608 - as above
)

# The lease never outlives the handler's own time limit.
BEAT = text(
    f"""
    UPDATE job_executions
       SET {_KEEP_PROGRESS}, updated_at = now(),
           lease_expires_at = least(
               now() + make_interval(secs => :heartbeat + {LEASE_MARGIN}),
               started_at + make_interval(secs => :timeout + {LEASE_MARGIN}))
     WHERE job_id = :job_id AND lease_token = :token
    RETURNING cancelled_at IS NOT NULL AS cancelled
    """  # noqa: S608 - as above
)


@cache
def with_logs(statement: TextClause) -> TextClause:
    """Return an outcome's statement, which then keeps what the attempt logged too."""
    return text(statement.text.replace(_KEEP_ATTEMPT, _KEEP_LOGS + _KEEP_ATTEMPT))
