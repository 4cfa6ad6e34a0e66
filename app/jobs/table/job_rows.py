"""The table of jobs: rows are recorded, published and read here; `attempts` has their states.

Nothing here commits but what says so: the caller's transaction decides.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, bindparam, select, text
from sqlalchemy.dialects.postgresql import insert

from ..message import Message
from ..values import jsonb
from ..values.ids import is_job_id
from .attempts import Execute, alone
from .db import db
from .models import JobExecution, Status

_table = cast("Table", JobExecution.__table__)

#: What a statement returns of a row (`job`) that is to be published.
TO_PUBLISH = """
    job.job_id, job.job_type, job.payload, job.options, job.max_retries, job.generation,
    job.legs, job.reschedules, job.available_at, job.created_at, job.id
"""

_COLUMNS = """
    tags, parent_id,
    job_id, job_type, payload, user_id, organization_id, idempotency_key, queue, max_retries,
    options, available_at
"""
# Nothing where the id exists: the same INSERT may be sent again when its answer was lost.
_ONCE = "ON CONFLICT (job_id) DO NOTHING"
# DO UPDATE rather than DO NOTHING: it waits for a rival's commit and returns the rival's row.
_ONCE_PER_KEY = """
    ON CONFLICT (job_type, organization_id, idempotency_key) WHERE idempotency_key IS NOT NULL
    DO UPDATE SET idempotency_key = excluded.idempotency_key RETURNING job_id
"""
_VALUES = """
    VALUES (CAST(:tags AS text[]), :parent_id,
            :job_id, :job_type, CAST(:payload AS jsonb), :user_id, :organization_id,
            :idempotency_key, :queue, :max_retries, CAST(:options AS jsonb), :available_at)
"""
_RECORD = text(f"INSERT INTO job_executions ({_COLUMNS}) {_VALUES} {_ONCE}")
_RECORD_KEYED = text(f"INSERT INTO job_executions ({_COLUMNS}) {_VALUES} {_ONCE_PER_KEY}")

# One parameter for any number of rows: to write a thousand times ten costs more than all else here.
_RECORD_MANY = text(
    f"""
    INSERT INTO job_executions ({_COLUMNS})
    SELECT tags, parent_id,
           envelope ->> 'jobId', job_type, envelope, user_id, organization_id, idempotency_key,
           queue, max_retries, options, available_at
      FROM jsonb_populate_record(CAST(NULL AS job_executions), CAST(:shared AS jsonb)),
           jsonb_array_elements(CAST(:envelopes AS jsonb)) AS envelope
    {_ONCE}
    """  # noqa: S608 - the only values in the text are the table's columns
)

_INSERT = insert(_table).on_conflict_do_nothing(index_elements=["job_id"])

# Not where its delivery was faster: the claim has noted both.
_NOTE_PUBLISHED = text(
    """
    UPDATE job_executions AS job
       SET message_id = coalesce(job.message_id, noted.message_id), published_at = now(),
           updated_at = now()
      FROM jsonb_to_recordset(CAST(:noted AS jsonb))
           AS noted (job_id text, message_id text, generation int, legs int, reschedules int)
     WHERE job.job_id = noted.job_id AND job.generation = noted.generation
       AND job.legs = noted.legs AND job.reschedules = noted.reschedules
       AND (job.published_at IS NULL OR job.message_id IS NULL)
    """
)

_REFUSE = text(
    """
    UPDATE job_executions
       SET status = 'failed', error = :error, dead_at = now(), completed_at = now(),
           updated_at = now()
     WHERE job_id = :job_id AND status IN ('pending', 'failed') AND dead_at IS NULL
    """
)

# What is enqueued here has its retries and its time limit in `options`; nobody else writes there.
_MADE_HERE = select(_table.c.options != {}).where(_table.c.job_id == bindparam("job_id"))
_EXISTING = text("SELECT job_id FROM job_executions WHERE job_id = ANY(CAST(:job_ids AS text[]))")

_QUEUED = (
    select(_table.c.id, _table.c.job_id, _table.c.job_type, _table.c.status, _table.c.payload)
    .where(_table.c.status.in_([Status.PENDING, Status.FAILED]), _table.c.dead_at.is_(None))
    .where(_table.c.id > bindparam("after"))
    .order_by(_table.c.id)
    .limit(bindparam("limit"))
)


def record(execute: Execute, message: Message, owner: Mapping[str, Any]) -> str:
    """Insert the pending job of a message and return its id.

    With an idempotency key that this type and organization already used, nothing is inserted, and
    the first job's id is returned.

    Args:
        execute: `alone`, or `within` a transaction that decides whether the job exists.
        message: The job's first one.
        owner: `user_id`, `organization_id`, `idempotency_key`, `tags` and `parent_id`.
    """
    values = _shared(message, owner) | {"job_id": message.job_id, "payload": message.body}
    values["options"] = jsonb.dumps(values["options"])
    if owner["idempotency_key"] is None:
        execute(_RECORD, values)
        return message.job_id
    return str(execute(_RECORD_KEYED, values).job_id)


def record_many(
    connection: Connection, messages: Sequence[Message], owner: Mapping[str, Any]
) -> None:
    """Insert the pending jobs of messages that differ in nothing but their bodies and ids.

    Args:
        connection: Its transaction decides whether the jobs exist.
        messages: At least one; the first tells what all of them have in common.
        owner: As for `record`, without an idempotency key.
    """
    shared = _shared(messages[0], owner)
    if shared["available_at"] is not None:
        shared["available_at"] = shared["available_at"].isoformat()
    envelopes = ",".join([message.body for message in messages])
    given = {"shared": jsonb.dumps(shared), "envelopes": f"[{envelopes}]"}
    connection.execute(_RECORD_MANY, given)


def _shared(message: Message, owner: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **owner,
        "job_type": message.job_type,
        "queue": message.options.get("queue"),
        "max_retries": message.options["retries"],
        "options": message.options,
        "available_at": message.available_at,
    }


def create_job_execution(connection: Connection, values: Mapping[str, Any]) -> None:
    """Insert a job that was not enqueued here, unless its id exists.

    Args:
        connection: Its transaction decides whether the job exists.
        values: By column: `job_id`, `job_type` and `payload` (the envelope) at least.
    """
    connection.execute(_INSERT, values)


def note_published(published: Sequence[tuple[Message, str]]) -> None:
    """Note that QStash has these jobs, by message id, unless they were published again since.

    Raises as `alone` does.
    """
    noted = [
        {
            "job_id": message.job_id,
            "message_id": message_id,
            "generation": message.generation,
            "legs": message.legs,
            "reschedules": message.reschedules,
        }
        for message, message_id in published
    ]
    alone(_NOTE_PUBLISHED, {"noted": jsonb.dumps(noted)})


def mark_dead(connection: Connection, job_id: str, error: str) -> bool:
    """Fail a waiting job for good; tell whether there was one."""
    return connection.execute(_REFUSE, {"job_id": job_id, "error": error}).rowcount == 1


def existing(connection: Connection, job_ids: Sequence[str]) -> set[str]:
    """Return those of the jobs that are recorded."""
    return set(map(str, connection.execute(_EXISTING, {"job_ids": list(job_ids)}).scalars()))


def get_job_execution_by_job_id(job_id: str) -> JobExecution | None:
    """Return the job as it is now; None where no job has this id, or none can have it."""
    if not is_job_id(job_id):
        return None
    query = select(JobExecution).where(JobExecution.job_id == job_id)
    # What others changed since this session read the row: `enqueue` and the like do not go by it.
    return db.session.scalar(query.execution_options(populate_existing=True))


def made_here(connection: Connection, job_id: str) -> bool:
    """Tell whether this app enqueued the job, rather than another producer or a schedule."""
    return bool(connection.execute(_MADE_HERE, {"job_id": job_id}).scalar())


def list_queued(connection: Connection, *, after: int, limit: int) -> list[Row[Any]]:
    """Return the next jobs that wait for an attempt, by `id` from `after` on."""
    return list(connection.execute(_QUEUED, {"after": after, "limit": limit}))
