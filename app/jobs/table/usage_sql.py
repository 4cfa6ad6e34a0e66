"""SQL for the messages that jobs took, as QStash counts them: read from the rows, and the tallies.

A row has its executed attempts, each with its message, and how often QStash had tried the present
message when it was claimed last. So an attempt that never got to a handler is known as well, if a
later one did, or QStash gave the message up. Of a job with more attempts than are kept, the number
is known, and how many of them were retries an estimate.
"""

from sqlalchemy import text

from ..values.ids import OwnerIdColumn
from .marks import TODAY

#: The status of an answer after which QStash does not try again.
_FINAL = "489"

# One row per job: `known` messages have a kept attempt, `own` of these are the present message's;
# `recorded` attempts were made, of which `kept` are kept; `put_back` messages came before.
_SEEN = f"""
    SELECT job_type, organization_id, created_at, legs, generation, known, own, kept,
           legs + reschedules + generation AS put_back,
           greatest(kept, CASE WHEN jsonb_typeof(list->-1->'number') = 'number'
                               THEN (list->-1->>'number')::int ELSE 0 END) AS recorded,
           (status = 'processing')::int AS running,
           (message_id IS NOT NULL AND own = 0)::int AS fresh,
           dead_at IS NOT NULL AND published_at IS NOT NULL AS is_dead,
           coalesce(list->-1->>'status' = '{_FINAL}', false) AS was_final,
           retry_count, coalesce(max_retries, 0) AS max_retries,
           (job_type = ANY(CAST(:external AS text[])))::int AS external,
           (options ? 'callback')::int AS calls_back,
           (options ? 'failure_callback')::int AS tells_failure
      FROM job_executions,
           LATERAL (SELECT CASE jsonb_typeof(attempts) WHEN 'array' THEN attempts
                           ELSE CAST('[]' AS jsonb) END AS list) AS attempt,
           LATERAL (SELECT count(*) AS kept, count(DISTINCT one->>'message_id') AS known,
                           count(*) FILTER (WHERE one->>'message_id' = message_id) AS own
                      FROM jsonb_array_elements(list) AS one) AS counts
     WHERE {{recorded}}
"""  # noqa: S608 - our own text

# `made` are the attempts to deliver a job, at all its messages, of which `delivered` had one;
# `lost_sight` messages have no attempt that is kept.
_MADE = f"""
    SELECT seen.*, known + fresh + lost_sight AS accepted,
           known + lost_sight + fresh * greatest(running, is_dead::int) AS delivered,
           recorded + running + greatest(of_present - own - running, 0) AS made,
           is_dead::int + generation AS deaths
      FROM ({_SEEN}) AS seen,
           LATERAL (SELECT least(recorded - kept, greatest(put_back + 1 - known - fresh, 0))
                           AS lost_sight,
                           CASE WHEN is_dead AND NOT was_final THEN max_retries + 1
                                WHEN own + running > 0 THEN retry_count + 1
                                ELSE 0 END AS of_present) AS rest
"""  # noqa: S608 - as above

# A callback tells of `told` attempts, and a failure callback of each death. Where QStash tells the
# app first, the app publishes what the caller is to be told.
_COUNTED = f"""
    SELECT job_type, organization_id, created_at, legs,
           accepted + deaths * tells_failure + told * external * calls_back AS messages,
           greatest(made - delivered, 0) AS retries, told + deaths AS callbacks
      FROM ({_MADE}) AS counted,
           LATERAL (SELECT (made - running) * greatest(external, calls_back) AS told) AS telling
"""  # noqa: S608 - as above

_SUMS = """
    count(*) AS jobs, coalesce(sum(messages), 0)::bigint AS messages,
    coalesce(sum(retries), 0)::bigint AS retries, coalesce(sum(callbacks), 0)::bigint AS callbacks,
    coalesce(sum(legs), 0)::bigint AS legs
"""

_LATELY = "created_at >= now() - make_interval(secs => :since)"
_BETWEEN = "created_at >= :since AND created_at < :until"

#: By job type, by organization, and over all; `oldest` is how many seconds ago the first was made,
#: and `today` the sum for those of this day (UTC).
BY_JOBS = text(
    f"""
    SELECT grouping(job_type) = 0 AS is_type, grouping(organization_id) = 0 AS is_organization,
           job_type, organization_id, {_SUMS},
           coalesce(sum(messages + retries + callbacks) FILTER (
               WHERE (created_at AT TIME ZONE 'UTC')::date = {TODAY}), 0)::bigint AS today,
           coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest
      FROM ({_COUNTED.format(recorded=_LATELY)}) AS counted
     GROUP BY GROUPING SETS ((job_type), (organization_id), ())
    """  # noqa: S608 - as above
).columns(organization_id=OwnerIdColumn)

#: By job type, and by organization, of each bucket; for `buckets`.
BY_BUCKET = text(
    f"""
    SELECT CAST(floor(extract(epoch FROM created_at - :since) / :seconds) AS int) AS bucket,
           grouping(job_type) = 0 AS is_type, job_type,
           CAST(organization_id AS text) AS organization, {_SUMS}
      FROM ({_COUNTED.format(recorded=_BETWEEN)}) AS counted
     GROUP BY GROUPING SETS ((bucket, job_type), (bucket, organization_id))
    """  # noqa: S608 - as above
)

#: Sums over what is kept of such buckets, two objects of lists: by type, and by organization.
SUMMED = text(
    """
    SELECT part.name AS part, one.key AS name,
           sum((one.value->>0)::bigint)::bigint AS jobs,
           sum((one.value->>1)::bigint)::bigint AS messages,
           sum((one.value->>2)::bigint)::bigint AS retries,
           sum((one.value->>3)::bigint)::bigint AS callbacks,
           sum((one.value->>4)::bigint)::bigint AS legs
      FROM job_buckets AS kept,
           unnest(CAST(:parts AS text[])) AS part (name),
           LATERAL jsonb_each(kept.value->part.name) AS one
     WHERE kind = :kind AND seconds = :seconds AND since >= :since AND since < :until
     GROUP BY part.name, one.key
    """
)

TALLIES = text(
    f"""
    SELECT kind, name, sum(messages)::bigint AS messages,
           coalesce(sum(messages) FILTER (WHERE day = {TODAY}), 0)::bigint AS today,
           extract(epoch FROM now() - min(day) AT TIME ZONE 'UTC')::float8 AS oldest
      FROM job_tallies
     WHERE day >= ((now() - make_interval(secs => :since)) AT TIME ZONE 'UTC')::date
     GROUP BY kind, name
    """  # noqa: S608 - as above
)
