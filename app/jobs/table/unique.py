"""The statements by which unique jobs are recorded: only one of them, by constraint."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import IntegrityError

from ..errors import DatabaseUnavailable
from ..message import Message
from ..values import jsonb
from ..values.unique import Unique
from .attempts import Execute, alone, within
from .pauses import HOLDING_GIVEN, holding
from .unique_sql import holds, is_taken, running_one, runs, waits

#: How often a job may end, and another come, while one call looks: nothing keeps up with that.
TURNS = 100

_RUNNING = f"""
    CASE WHEN CAST(:once_more AS bool) THEN {running_one("CAST(:unique_key AS text)")} END
"""
# Nothing where another job has the key: this waits for a rival's commit, so that the answer is
# final. What runs keeps its row unlocked.
INSERT = text(
    f"""
    INSERT INTO job_executions
           (job_id, job_type, payload, user_id, organization_id, tags, parent_id, queue,
            max_retries, options, available_at, pause, unique_key, unique_while, unique_until,
            uniqueness)
    VALUES (:job_id, :job_type, CAST(:payload AS jsonb), :user_id, :organization_id,
            CAST(:tags AS text[]), :parent_id, :queue, :max_retries, CAST(:options AS jsonb),
            :available_at,
            coalesce({HOLDING_GIVEN}, {_RUNNING}),
            :unique_key, :unique_while, now() + make_interval(secs => CAST(:period AS float8)),
            CAST(:uniqueness AS jsonb))
    ON CONFLICT DO NOTHING
    RETURNING job_id, pause, {_RUNNING} IS NOT NULL AS is_follow_up
    """  # noqa: S608 - the only values in the text are this package's constants
)

# One of its key may have begun while the INSERT waited for just that.
HOLD = text(
    f"""
    UPDATE job_executions AS job SET pause = {holding("job")}
     WHERE job_id = :job_id AND status = 'pending' AND published_at IS NULL AND pause IS NULL
       AND {holding("job")} IS NOT NULL
    RETURNING pause
    """  # noqa: S608 - as above
)

# The job that has the key: where two have, the one that waits. Or the one that an INSERT whose
# answer was lost has recorded.
_FOUND = f"""
    job_id, pause, reschedules, {waits()} AS waits, unique_until <= now() AS is_over,
    uniqueness->>'edition' AS edition
"""
FIND = text(
    f"""
    SELECT * FROM (
        SELECT {_FOUND} FROM job_executions WHERE unique_key = :unique_key AND {holds()}
        UNION ALL
        SELECT {_FOUND} FROM job_executions WHERE job_id = :job_id) AS found
     ORDER BY job_id = :job_id DESC, waits DESC LIMIT 1
    """  # noqa: S608 - as above
)

# In a transaction that goes on: until its end the job does not begin, and so sees what it did.
KEEP = text(
    f"SELECT job_id FROM job_executions WHERE job_id = :job_id AND unique_key = :unique_key"  # noqa: S608 - as above
    f" AND {waits()} FOR NO KEY UPDATE"
)

# A job whose period is over keeps nobody out. Not while somebody changes it, who may wait for us.
FREE = text(
    """
    UPDATE job_executions SET unique_key = NULL
     WHERE id = (SELECT id FROM job_executions
                  WHERE job_id = :job_id AND unique_key = :unique_key AND unique_until <= now()
                    FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING job_id
    """
)

# By which enqueue a job was replaced last.
EDITION = text(
    "SELECT uniqueness->>'edition' AS edition FROM job_executions WHERE job_id = :job_id"
)

# Of jobs that are to wait again: those whose key another has by now, or gets by the same statement.
_IN_THE_WAY = text(
    f"""
    SELECT DISTINCT ON (job.id) job.id, job.job_id, job.job_type, other.job_id AS holder
      FROM job_executions AS job, LATERAL (
        SELECT job_id FROM job_executions AS own
         WHERE own.unique_key = job.unique_key AND own.id <> job.id AND {holds("own.")}
           AND NOT ({runs("own.")})
        UNION ALL
        SELECT job_id FROM job_executions AS own
         WHERE own.id = ANY(:ids) AND own.unique_key = job.unique_key AND own.id > job.id) AS other
     WHERE job.id = ANY(:ids) AND job.unique_key IS NOT NULL
       AND coalesce(job.unique_until > now(), true)
     ORDER BY job.id
    """  # noqa: S608 - as above
)

_TAKE_KEY = text(
    """
    UPDATE job_executions
       SET unique_key = :unique_key, unique_while = :unique_while,
           unique_until = now() + make_interval(secs => CAST(:period AS float8)),
           uniqueness = CAST(:uniqueness AS jsonb)
     WHERE job_id = :job_id
    """
)
_NOT_NEEDED = text("DELETE FROM job_executions WHERE job_id = :job_id")

_DUE = """
    CASE WHEN CAST(:debounce AS float8) IS NULL THEN CAST(:available_at AS timestamptz)
         ELSE least(now() + make_interval(secs => CAST(:debounce AS float8)),
                    job.created_at + make_interval(secs => CAST(:at_most AS float8))) END
"""
# What is published may come as it is, if it does not come too late: its delivery finds another
# edition on the row, and puts the job back. Otherwise the job goes to the outbox.
_IS_IN_TIME = f"""
    coalesce(job.available_at, job.created_at) <= coalesce({_DUE}, now())
    AND job.queue IS NOT DISTINCT FROM CAST(:queue AS text)
    AND job.options->'flow_control' IS NOT DISTINCT FROM CAST(:options AS jsonb)->'flow_control'
"""
REPLACE = text(
    f"""
    UPDATE job_executions AS job
       SET payload = CAST(:payload AS jsonb), user_id = :user_id, tags = CAST(:tags AS text[]),
           parent_id = :parent_id, queue = :queue, max_retries = :max_retries,
           options = CAST(:options AS jsonb), available_at = {_DUE}, updated_at = now(),
           published_at = CASE WHEN {_IS_IN_TIME} THEN job.published_at END,
           message_id = CASE WHEN {_IS_IN_TIME} THEN job.message_id END,
           reschedules = job.reschedules + CASE WHEN {_IS_IN_TIME} THEN 0 ELSE 1 END,
           uniqueness = job.uniqueness || jsonb_build_object(
               'edition', CAST(:edition AS text),
               'replaced', coalesce((job.uniqueness->>'replaced')::int, 0) + 1)
     WHERE job.job_id = :job_id AND job.unique_key = :unique_key AND {waits("job.")}
    RETURNING job.job_id, job.pause, job.reschedules
    """  # noqa: S608 - as above
)


def free(found: Any, given: Mapping[str, Any], session: Execute | None) -> None:
    """Take the key from a job that `FIND` has found, and whose period is over.

    That holds whatever becomes of the transaction. Of one that runs it is taken at once, as its row
    would else be locked up to the transaction's end, and its heartbeat wait.

    Args:
        found: The job.
        given: With the `unique_key`.
        session: Executes in a transaction that goes on, if there is one.
    """
    execute = session if session is not None and found.waits else alone
    execute(FREE, {"job_id": found.job_id, "unique_key": given["unique_key"]})


def take_key(connection: Connection, job_id: str, rule: Unique, key: str) -> str | None:
    """Give a key to a job that the transaction has recorded, or delete it if another has that.

    Returns:
        The job that has it.
    """
    given = {"job_id": job_id, "unique_key": key, "unique_while": rule.until, **rule.seconds}
    given["uniqueness"] = jsonb.dumps(rule.as_json())
    session = within(connection)
    for _ in range(TURNS):
        try:
            with connection.begin_nested():
                connection.execute(_TAKE_KEY, given)
        except IntegrityError as error:
            if not is_taken(error):
                raise
        else:
            return None
        found = session(FIND, {"unique_key": key, "job_id": None})
        if found is not None and not found.is_over:
            connection.execute(_NOT_NEEDED, given)
            return str(found.job_id)
        if found is not None:
            free(found, given, session)
    raise DatabaseUnavailable(f"jobs with the key of {job_id} begin and end too fast: try again")


def in_the_way(connection: Connection, ids: Sequence[int]) -> list[Row[Any]]:
    """Return those of the jobs that cannot wait again, each with the `holder` of its key."""
    return list(connection.execute(_IN_THE_WAY, {"ids": list(ids)}))


def columns(message: Message, shared: dict[str, Any]) -> dict[str, Any]:
    """Return what `INSERT` and `REPLACE` take of a job's first message.

    Args:
        message: Of a unique job.
        shared: Its other columns.
    """
    assert message.unique is not None  # noqa: S101 - only such come here
    rule = message.unique.rule
    return shared | {
        "job_id": message.job_id,
        "payload": message.body,
        "options": jsonb.dumps(shared["options"]),
        "unique_key": message.unique.value,
        "unique_while": rule.until,
        "once_more": rule.once_more,
        "uniqueness": jsonb.dumps(rule.as_json()),
        **rule.seconds,
    }
