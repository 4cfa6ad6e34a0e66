"""The statements of batches: jobs that belong together, how many wait, and what comes after.

A batch's jobs are spread over slots, each of which counts its own. A trigger keeps them (see
`migrations/versions/0007_batches.py`): whatever ends a job, or brings it back, counts it in the
same transaction, and the last one to end a slot also ends the batch and inserts its follow-up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import JSONB

from ..message import Message
from ..values import jsonb
from .job_rows import TO_PUBLISH, that_may_hold
from .pauses import HOLDING_GIVEN, holding

BATCH, WORKFLOW = "batch", "workflow"

#: What a batch is until its end; then it is "completed", "failed" or "cancelled".
RUNNING = "running"
STATES = (RUNNING, "completed", "failed", "cancelled")

#: Days after its end for which a batch is kept at least; it stays as long as any of its jobs.
KEPT_DAYS = 1


_RECORD = text(
    """
    INSERT INTO job_batches (id, name, kind, user_id, organization_id)
    VALUES (:batch_id, :name, :kind, :user_id, :organization_id)
    """
)
_RECORD_SLOTS = text(
    """
    INSERT INTO job_batch_slots (batch_id, slot, step, jobs, pending)
    SELECT :batch_id, CAST(:first AS int) + number,
           (SELECT own.step FROM job_executions AS job JOIN job_batch_slots AS own
                  ON own.batch_id = job.batch_id AND own.slot = job.slot
             WHERE job.job_id = CAST(:added_by AS text)),
           jobs, jobs
      FROM (SELECT number, whole / slots + (number < whole % slots)::int AS jobs
              FROM (SELECT CAST(:jobs AS int) AS whole, CAST(:slots AS int) AS slots) AS given,
                   generate_series(0, slots - 1) AS number) AS part
    """
)
_RECORD_STEP = text(
    """
    INSERT INTO job_steps (batch_id, name, kind, job)
    VALUES (:batch_id, :kind, :kind, CAST(:job AS jsonb))
    """
)
# As `job_rows` records many, but each in its slot: neighbours, which run at the same time, in
# different ones.
_RECORD_JOBS = text(
    f"""
    INSERT INTO job_executions
           (tags, parent_id,
            job_id, job_type, payload, user_id, organization_id, queue, max_retries, options,
            available_at, pause, batch_id, slot)
    SELECT tags, parent_id,
           envelope ->> 'jobId', job_type, envelope, user_id, organization_id, queue, max_retries,
           options, available_at, {HOLDING_GIVEN}, :batch_id,
           CAST(:first AS int)
             + CAST((CAST(:offset AS int) + number - 1) % CAST(:slots AS int) AS int)
      FROM jsonb_populate_record(CAST(NULL AS job_executions), CAST(:shared AS jsonb)),
           jsonb_array_elements(CAST(:envelopes AS jsonb)) WITH ORDINALITY
               AS given (envelope, number)
    """  # noqa: S608 - the only values in the text are this package's
)
_TAKE_IN = text(
    """
    UPDATE job_executions AS job
       SET batch_id = :batch_id,
           slot = CAST(:first AS int)
                    + CAST((CAST(:offset AS int) + number - 1) % CAST(:slots AS int) AS int)
      FROM unnest(CAST(:job_ids AS text[])) WITH ORDINALITY AS given (job_id, number)
     WHERE job.job_id = given.job_id
    """
)
_ADVANCE = text("SELECT job_batch_advance(:batch_id)")
_STATE = text("SELECT state FROM job_batches WHERE id = :batch_id")
_COUNT_JOBS = text("SELECT coalesce(sum(jobs), 0) FROM job_batch_slots WHERE batch_id = :batch_id")
# The function that records them knows nothing of pauses: a sweep notes what holds them. Each job is
# sought by its id: the planner might look for those of 300 steps among all that wait, 300 times.
_STARTED = text(
    f"""
    SELECT {TO_PUBLISH.replace("job.pause", f"{holding('job')} AS pause")} FROM job_steps AS step
      CROSS JOIN LATERAL (SELECT * FROM job_executions AS one
                           WHERE one.job_id = step.job_id OFFSET 0) AS job
     WHERE step.batch_id = :batch_id AND step.job_id IS NOT NULL AND step.ended IS NULL
       AND job.status = 'pending' AND job.published_at IS NULL
    """  # noqa: S608 - the only values in the text are the table's columns
).columns(payload=JSONB, options=JSONB)
# Each job of several locks its slot, and perhaps the batch after it: in any order, two who do that
# could wait for each other.
_LOCK_SLOTS = text(
    """
    SELECT FROM job_batch_slots
     WHERE (batch_id, slot) IN (SELECT batch_id, slot FROM job_executions
                                 WHERE id = ANY(:ids) AND slot IS NOT NULL)
     ORDER BY batch_id, slot
       FOR NO KEY UPDATE
    """
)
_CALL_OFF = text(
    """
    UPDATE job_batches SET cancelled_at = now(), turns = turns + 1
     WHERE id = :batch_id AND state = 'running'
    """
)
_FORGET = text(
    f"""
    DELETE FROM job_batches AS batch
     WHERE ended_at < now() - interval '{KEPT_DAYS} days'
       AND NOT EXISTS (SELECT FROM job_executions AS job WHERE job.batch_id = batch.id)
    """  # noqa: S608 - our own number
)


@dataclass(frozen=True, slots=True)
class Slots:
    """Consecutive slots of a batch, over which its jobs are spread in turn."""

    first: int
    count: int


def record(
    connection: Connection, batch_id: str, name: str, owner: Mapping[str, Any], *, kind: str
) -> None:
    """Insert a batch that runs.

    Args:
        connection: Its transaction decides whether the batch exists.
        batch_id: A UUID.
        name: Of at most 255 characters.
        owner: `user_id` and `organization_id`.
        kind: `BATCH` or `WORKFLOW`.
    """
    given = {"batch_id": batch_id, "name": name, "kind": kind}
    whose = {column: owner[column] for column in ("user_id", "organization_id")}
    connection.execute(_RECORD, given | whose)


def record_slots(
    connection: Connection, batch_id: str, slots: Slots, jobs: int, *, added_by: str | None = None
) -> None:
    """Insert the slots that count a number of jobs, which are recorded in the same transaction.

    Args:
        connection: Its transaction decides whether they exist.
        batch_id: Whose jobs they are.
        slots: None of them is there yet.
        jobs: At least as many as slots.
        added_by: The running job that adds them; they count for its step, if it is one's.
    """
    given = {"batch_id": batch_id, "first": slots.first, "slots": slots.count, "jobs": jobs}
    connection.execute(_RECORD_SLOTS, given | {"added_by": added_by})


def record_jobs(
    connection: Connection,
    batch_id: str,
    slots: Slots,
    messages: Sequence[Message],
    owner: Mapping[str, Any],
    *,
    offset: int,
) -> None:
    """Insert pending jobs that differ in nothing but their bodies and ids.

    Args:
        connection: Its transaction decides whether the jobs exist.
        batch_id: Whose jobs they are.
        slots: All that `record_slots` made.
        messages: At least one; the first tells what all of them have in common.
        owner: `user_id`, `organization_id`, `tags` and `parent_id`.
        offset: How many jobs of these slots are recorded before.
    """
    first = messages[0]
    given = {
        "batch_id": batch_id,
        "first": slots.first,
        "slots": slots.count,
        "offset": offset,
        "pauses": that_may_hold(first.job_type, first.options, owner["organization_id"]),
        "shared": jsonb.dumps(_columns(first, owner)),
        "envelopes": f"[{','.join([message.body for message in messages])}]",
    }
    connection.execute(_RECORD_JOBS, given)


def take_in(
    connection: Connection, batch_id: str, slots: Slots, job_ids: Sequence[str], *, offset: int
) -> None:
    """Make jobs a batch's that this transaction has recorded; they have not begun."""
    if job_ids:
        given = {"batch_id": batch_id, "first": slots.first, "slots": slots.count}
        connection.execute(_TAKE_IN, given | {"offset": offset, "job_ids": list(job_ids)})


def record_following(
    connection: Connection, batch_id: str, kind: str, message: Message, owner: Mapping[str, Any]
) -> None:
    """Insert a job that the batch's end will record: "then" or "on_failure"; see `columns_of`."""
    given = {"batch_id": batch_id, "kind": kind, "job": columns_of(message, owner)}
    connection.execute(_RECORD_STEP, given)


def columns_of(message: Message, owner: Mapping[str, Any]) -> str:
    """Return the row of a job that is to be recorded later, as JSON.

    A delay, and the time within which it must begin, are counted from then on.

    Args:
        message: The job's first one.
        owner: As for `record_jobs`; and `expires_in`, that time in seconds, or None.
    """
    row = _columns(message, owner) | {"job_id": message.job_id}
    if "not_before" not in message.options:
        del row["available_at"]
    if owner["expires_in"] is not None:
        row["expires_in"] = owner["expires_in"]
    return f'{{"payload":{message.body},{jsonb.dumps(row)[1:]}'


def advance(connection: Connection, batch_id: str) -> None:
    """End a batch of which no job waits; the trigger does so for the last job's outcome."""
    connection.execute(_ADVANCE, {"batch_id": batch_id})


def state(connection: Connection, batch_id: str) -> str | None:
    """Return a batch's state; None if there is no such batch."""
    found: str | None = connection.execute(_STATE, {"batch_id": batch_id}).scalar_one_or_none()
    return found


def count_jobs(connection: Connection, batch_id: str) -> int:
    return int(connection.execute(_COUNT_JOBS, {"batch_id": batch_id}).scalar_one())


def started(connection: Connection, batch_id: str) -> Sequence[Row[Any]]:
    """Return the rows to publish of the jobs that the end of others has recorded."""
    return connection.execute(_STARTED, {"batch_id": batch_id}).all()


def lock_slots(connection: Connection, ids: Sequence[int]) -> None:
    """Lock what counts jobs, by row id, before one statement changes several of them."""
    connection.execute(_LOCK_SLOTS, {"ids": list(ids)})


def call_off(connection: Connection, batch_id: str) -> bool:
    """Have no job of a batch begin any more; tell whether it had not ended."""
    return connection.execute(_CALL_OFF, {"batch_id": batch_id}).rowcount == 1


def forget(connection: Connection) -> None:
    """Delete the batches that ended and of whose jobs none is left."""
    connection.execute(_FORGET)


def _columns(message: Message, owner: Mapping[str, Any]) -> dict[str, Any]:
    at = message.available_at
    return {
        "tags": owner["tags"],
        "parent_id": owner["parent_id"],
        "job_type": message.job_type,
        "user_id": owner["user_id"],
        "organization_id": owner["organization_id"],
        "queue": message.options.get("queue"),
        "max_retries": message.options["retries"],
        "options": message.options,
        "available_at": None if at is None else at.isoformat(),
    }
