"""The table of jobs: rows are recorded, published and read here; `attempts` has their states.

Nothing here commits but what says so: the caller's transaction decides.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, bindparam, select, text
from sqlalchemy.dialects.postgresql import insert

from ..message import Message
from ..values import jsonb
from ..values.ids import is_job_id
from .db import db
from .models import JobExecution, Status

_table = cast("Table", JobExecution.__table__)

#: What a statement returns of a row (`job`) that is to be published.
TO_PUBLISH = """
    job.job_id, job.job_type, job.payload, job.options, job.max_retries, job.generation,
    job.legs, job.reschedules, job.available_at, job.created_at, job.id
"""

# Nothing where the id exists: the same INSERT may be sent again when its answer was lost.
_INSERT = insert(_table).on_conflict_do_nothing(index_elements=["job_id"])
_KEYED = insert(_table)
# DO UPDATE rather than DO NOTHING: it waits for a rival's commit and returns the rival's row.
_INSERT_KEYED = _KEYED.on_conflict_do_update(
    index_elements=["job_type", "organization_id", "idempotency_key"],
    index_where=text("idempotency_key IS NOT NULL"),
    set_={"idempotency_key": _KEYED.excluded.idempotency_key},
).returning(_table.c.job_id)

# One parameter for any number of rows, so that a thousand jobs cost one statement to build.
_INSERT_MANY = text(
    """
    INSERT INTO job_executions (job_id, job_type, payload, user_id, organization_id, queue,
                                max_retries, options, available_at)
    SELECT job_id, job_type, payload, user_id, organization_id, queue,
           max_retries, options, available_at
      FROM jsonb_populate_recordset(CAST(NULL AS job_executions), CAST(:rows AS jsonb))
    ON CONFLICT (job_id) DO NOTHING
    """
)

# Not where its delivery was faster: the claim has noted both.
_NOTE_PUBLISHED = text(
    """
    UPDATE job_executions AS job
       SET message_id = coalesce(job.message_id, noted.message_id), published_at = now(),
           updated_at = now()
      FROM unnest(CAST(:job_ids AS text[]), CAST(:message_ids AS text[]),
                  CAST(:generations AS int[]), CAST(:legs AS int[]), CAST(:reschedules AS int[]))
           AS noted (job_id, message_id, generation, legs, reschedules)
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


def create_job_execution(connection: Connection, values: Mapping[str, Any]) -> str:
    """Insert a pending job and return its id.

    Where the id exists already, nothing is inserted; with an idempotency key that this type and
    organization already used neither, and the first job's id is returned.

    Args:
        connection: Its transaction decides whether the job exists.
        values: By column: `job_id`, `job_type` and `payload` (the envelope) at least.
    """
    if values.get("idempotency_key") is None:
        connection.execute(_INSERT, values)
        return str(values["job_id"])
    return str(connection.execute(_INSERT_KEYED, values).scalar_one())


def create_job_executions(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert pending jobs without idempotency keys, in one statement."""
    written = [{**row, "available_at": _iso(row["available_at"])} for row in rows]
    connection.execute(_INSERT_MANY, {"rows": jsonb.dumps(written)})


def note_published(connection: Connection, published: Sequence[tuple[Message, str]]) -> None:
    """Note that QStash has these jobs, by message id, unless they were published again since."""
    connection.execute(
        _NOTE_PUBLISHED,
        {
            "job_ids": [message.job_id for message, _ in published],
            "message_ids": [message_id for _, message_id in published],
            "generations": [message.generation for message, _ in published],
            "legs": [message.legs for message, _ in published],
            "reschedules": [message.reschedules for message, _ in published],
        },
    )


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


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
