"""The table of jobs: rows are recorded, published and read here; `attempts` has their states.

Nothing here commits but what says so: the caller's transaction decides.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Row, Table, bindparam, select, text
from sqlalchemy.dialects.postgresql import insert

from ..message import Message
from ..values import jsonb
from ..values.ids import is_job_id
from ..values.unique import EnqueuedAs
from .attempts import Execute, alone
from .db import db
from .models import JobExecution, Status
from .pauses import HOLDING_GIVEN
from .unique_sql import FOLLOWS

_table = cast("Table", JobExecution.__table__)

#: What a statement returns of a row (`job`) that is to be published.
TO_PUBLISH = """
    job.job_id, job.job_type, job.payload, job.options, job.max_retries, job.generation,
    job.legs, job.reschedules, job.available_at, job.pause, job.created_at, job.id
"""

_COLUMNS = """
    tags, parent_id,
    job_id, job_type, payload, user_id, organization_id, idempotency_key, queue, max_retries,
    options, available_at, pause
"""
# Nothing where the id exists: the same INSERT may be sent again when its answer was lost.
_ONCE = "ON CONFLICT (job_id) DO NOTHING"
_PAUSED = "RETURNING job_id, pause"
# DO UPDATE rather than DO NOTHING: it waits for a rival's commit and returns the rival's row.
# One whose time is up has given its key away in the same statement, before this asks for it.
_ONCE_PER_KEY = """
    ON CONFLICT (job_type, organization_id, idempotency_key) WHERE idempotency_key IS NOT NULL
    DO UPDATE SET idempotency_key = excluded.idempotency_key
    RETURNING job_id, pause, fingerprint
"""
_GIVEN = f"""
    CAST(:tags AS text[]), :parent_id, :job_id, :job_type, CAST(:payload AS jsonb), :user_id,
    :organization_id, :idempotency_key, :queue, :max_retries, CAST(:options AS jsonb),
    :available_at, {HOLDING_GIVEN}
"""
_RECORD = text(
    f"INSERT INTO job_executions ({_COLUMNS}) VALUES ({_GIVEN}) {_ONCE} {_PAUSED}"  # noqa: S608 - our own text
)
_RECORD_KEYED = text(
    f"""
    WITH freed AS (
        UPDATE job_executions SET idempotency_key = NULL
         WHERE job_type = :job_type AND organization_id IS NOT DISTINCT FROM :organization_id
           AND idempotency_key = :idempotency_key AND idempotency_until <= now()
        RETURNING id)
    INSERT INTO job_executions ({_COLUMNS}, fingerprint, idempotency_until)
    SELECT {_GIVEN}, :fingerprint,
           now() + make_interval(secs => CAST(:idempotency_ttl AS float8))
      FROM (SELECT count(*) FROM freed) AS first
    {_ONCE_PER_KEY}
    """  # noqa: S608 - the only values in the text are the table's columns
)

# One parameter for any number of rows: to write a thousand times ten costs more than all else here.
_RECORD_MANY = text(
    f"""
    WITH recorded AS (
        INSERT INTO job_executions ({_COLUMNS})
        SELECT tags, parent_id,
               envelope ->> 'jobId', job_type, envelope, user_id, organization_id, idempotency_key,
               queue, max_retries, options, available_at, {HOLDING_GIVEN}
          FROM jsonb_populate_record(CAST(NULL AS job_executions), CAST(:shared AS jsonb)),
               jsonb_array_elements(CAST(:envelopes AS jsonb)) AS envelope
        {_ONCE})
    SELECT {HOLDING_GIVEN} AS pause
    """  # noqa: S608 - the only values in the text are the table's columns
)

_INSERT = insert(_table).on_conflict_do_nothing(index_elements=["job_id"])

# Not where its delivery was faster: the claim has noted both.
_NOTE_PUBLISHED = text(
    """
    UPDATE job_executions AS job
       SET message_id = coalesce(job.message_id, noted.message_id), published_at = now(),
           updated_at = now(), pause = NULL
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
_EXISTING = text(
    "SELECT job_id, pause FROM job_executions WHERE job_id = ANY(CAST(:job_ids AS text[]))"
)

_QUEUED = (
    select(_table.c.id, _table.c.job_id, _table.c.job_type, _table.c.status, _table.c.payload)
    .where(_table.c.status.in_([Status.PENDING, Status.FAILED]), _table.c.dead_at.is_(None))
    .where(_table.c.id > bindparam("after"))
    .order_by(_table.c.id)
    .limit(bindparam("limit"))
)


class Recorded(NamedTuple):
    """A job that is in the table.

    Attributes:
        pause: What holds it.
        enqueued_as: What the enqueue came to; see `JobId`.
        is_put_off: It was published for a time or a way that are no longer its own.
        fingerprint: Of the payload of the job that had the idempotency key first.
    """

    job_id: str
    pause: str | None
    enqueued_as: EnqueuedAs = "new"
    is_put_off: bool = False
    fingerprint: str | None = None

    @property
    def follows(self) -> str | None:
        """The job that it waits for; None also where a pause holds it before that."""
        held = self.pause or ""
        return held.removeprefix(FOLLOWS) if held.startswith(FOLLOWS) else None


def record(execute: Execute, message: Message, owner: Mapping[str, Any]) -> Recorded:
    """Insert the pending job of a message and return its id, and which pause holds it.

    With an idempotency key that this type and organization already used, nothing is inserted, and
    the first job's id is returned.

    Args:
        execute: `alone`, or `within` a transaction that decides whether the job exists.
        message: The job's first one.
        owner: `user_id`, `organization_id`, `idempotency_key`, its time, `tags` and `parent_id`.
    """
    values = shared_columns(message, owner) | {"job_id": message.job_id, "payload": message.body}
    values["options"] = jsonb.dumps(values["options"])
    if owner["idempotency_key"] is not None:
        values["fingerprint"] = message.fingerprint
        row = execute(_RECORD_KEYED, values)
        is_new = row.job_id == message.job_id
        as_: EnqueuedAs = "new" if is_new else "existing"
        return Recorded(str(row.job_id), row.pause, as_, fingerprint=row.fingerprint)
    row = execute(_RECORD, values)
    # Without a row, it is there already: an INSERT that was sent again.
    return Recorded(message.job_id, None) if row is None else Recorded(str(row[0]), row[1])


def record_many(
    connection: Connection, messages: Sequence[Message], owner: Mapping[str, Any]
) -> str | None:
    """Insert the pending jobs of messages that differ in nothing but their bodies and ids.

    Args:
        connection: Its transaction decides whether the jobs exist.
        messages: At least one; the first tells what all of them have in common.
        owner: As for `record`, without an idempotency key.

    Returns:
        The pause that holds them.
    """
    shared = shared_columns(messages[0], owner)
    if shared["available_at"] is not None:
        shared["available_at"] = shared["available_at"].isoformat()
    envelopes = ",".join([message.body for message in messages])
    pauses = shared.pop("pauses")
    given = {"shared": jsonb.dumps(shared), "envelopes": f"[{envelopes}]", "pauses": pauses}
    pause: str | None = connection.execute(_RECORD_MANY, given).scalar()
    return pause


def shared_columns(message: Message, owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return what jobs have in common that differ in nothing but their bodies and ids."""
    return {
        **owner,
        "job_type": message.job_type,
        "queue": message.options.get("queue"),
        "max_retries": message.options["retries"],
        "options": message.options,
        "available_at": message.available_at,
        "pauses": that_may_hold(message.job_type, message.options, owner["organization_id"]),
    }


def that_may_hold(job_type: str, options: Mapping[str, Any], organization_id: object) -> list[str]:
    """Name each pause that would hold a job, as the table of pauses has it."""
    found = [f"type:{job_type}"]
    if "queue" in options:
        found.append(f"queue:{options['queue']}")
    if "flow_control" in options:
        found.append(f"key:{options['flow_control']['key']}")
    if organization_id is not None:
        found.append(f"organization:{organization_id}")
    return found


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


def existing(connection: Connection, job_ids: Sequence[str]) -> dict[str, str | None]:
    """Return those of the jobs that are recorded, each with the pause that holds it."""
    rows = connection.execute(_EXISTING, {"job_ids": list(job_ids)})
    return {str(row.job_id): row.pause for row in rows}


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
