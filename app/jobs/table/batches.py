"""The tables of batches: jobs that belong together, how many of them wait, and what comes after.

A batch's jobs are spread over slots, each of which counts its own. A trigger keeps them (see
`migrations/versions/0006_batches.py`): whatever ends a job, or brings it back, counts it in the
same transaction, and the last one to end a slot also ends the batch and inserts its follow-up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Row,
    String,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..message import Message
from ..values import jsonb
from ..values.ids import OwnerId, OwnerIdColumn
from .db import Base
from .job_rows import TO_PUBLISH, that_may_hold
from .pauses import HOLDING_GIVEN, holding

_TIMESTAMP = DateTime(timezone=True)

#: Days after its end for which a batch is kept at least; it stays as long as any of its jobs.
KEPT_DAYS = 1


class JobBatch(Base):
    """Jobs that belong together.

    Attributes:
        state: "running", "completed", "failed" (ended, with some dead) or "cancelled".
        turns: Grows whenever it is looked whether the batch has ended.
    """

    __tablename__ = "job_batches"
    __table_args__ = (Index("idx_job_batches_created_at", text("created_at DESC"), "id"),)

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(20), server_default="running")
    user_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    organization_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    ended_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    cancelled_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    turns: Mapped[int] = mapped_column(server_default="0")


class BatchSlot(Base):
    """A part of a batch's count: of the jobs with this slot, how many have not completed."""

    __tablename__ = "job_batch_slots"

    batch_id: Mapped[str] = mapped_column(
        Uuid(as_uuid=False), ForeignKey("job_batches.id", ondelete="CASCADE"), primary_key=True
    )
    slot: Mapped[int] = mapped_column(primary_key=True)
    jobs: Mapped[int]
    pending: Mapped[int]
    dead: Mapped[int] = mapped_column(server_default="0")
    cancelled: Mapped[int] = mapped_column(server_default="0")


class JobStep(Base):
    """A job that is recorded once something has ended, and its row as it will be then."""

    __tablename__ = "job_steps"

    batch_id: Mapped[str] = mapped_column(
        Uuid(as_uuid=False), ForeignKey("job_batches.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    job: Mapped[dict[str, Any]] = mapped_column(JSONB)
    started_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)


_RECORD = text(
    """
    INSERT INTO job_batches (id, name, user_id, organization_id)
    VALUES (:batch_id, :name, :user_id, :organization_id)
    """
)
_RECORD_SLOTS = text(
    """
    INSERT INTO job_batch_slots (batch_id, slot, jobs, pending)
    SELECT :batch_id, CAST(:first AS int) + number, jobs, jobs
      FROM (SELECT number, whole / slots + (number < whole % slots)::int AS jobs
              FROM (SELECT CAST(:jobs AS int) AS whole, CAST(:slots AS int) AS slots) AS given,
                   generate_series(0, slots - 1) AS number) AS part
    """
)
_RECORD_STEP = text(
    """
    INSERT INTO job_steps (batch_id, name, job) VALUES (:batch_id, :name, CAST(:job AS jsonb))
    """
)
# As `job_rows` records many, but each in its slot: neighbours, which run at the same time, in
# different ones.
_RECORD_JOBS = text(
    f"""
    INSERT INTO job_executions
           (job_id, job_type, payload, user_id, organization_id, queue, max_retries, options,
            available_at, pause, batch_id, slot)
    SELECT envelope ->> 'jobId', job_type, envelope, user_id, organization_id, queue, max_retries,
           options, available_at, {HOLDING_GIVEN}, :batch_id,
           CAST(:first AS int)
             + CAST((CAST(:offset AS int) + number - 1) % CAST(:slots AS int) AS int)
      FROM jsonb_populate_record(CAST(NULL AS job_executions), CAST(:shared AS jsonb)),
           jsonb_array_elements(CAST(:envelopes AS jsonb)) WITH ORDINALITY
               AS given (envelope, number)
    """  # noqa: S608 - the only values in the text are this package's
)
_ADVANCE = text("SELECT job_batch_advance(:batch_id)")
_STATE = text("SELECT state FROM job_batches WHERE id = :batch_id")
_COUNT_JOBS = text("SELECT coalesce(sum(jobs), 0) FROM job_batch_slots WHERE batch_id = :batch_id")
# The function that records them knows nothing of pauses: a sweep notes what holds them.
_STARTED = text(
    f"""
    SELECT {TO_PUBLISH.replace("job.pause", f"{holding('job')} AS pause")} FROM job_steps AS step
      JOIN job_executions AS job ON job.job_id = step.job ->> 'job_id'
     WHERE step.batch_id = :batch_id AND step.started_at IS NOT NULL
       AND job.status = 'pending' AND job.published_at IS NULL
    """  # noqa: S608 - the only values in the text are the table's columns
).columns(payload=JSONB, options=JSONB)
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


def record(connection: Connection, batch_id: str, name: str, owner: Mapping[str, Any]) -> None:
    """Insert a batch that runs.

    Args:
        connection: Its transaction decides whether the batch exists.
        batch_id: A UUID.
        name: Of at most 255 characters.
        owner: `user_id` and `organization_id`.
    """
    connection.execute(_RECORD, {"batch_id": batch_id, "name": name, **owner})


def record_slots(connection: Connection, batch_id: str, slots: Slots, jobs: int) -> None:
    """Insert the slots that count a number of jobs, which are recorded in the same transaction."""
    given = {"batch_id": batch_id, "first": slots.first, "slots": slots.count, "jobs": jobs}
    connection.execute(_RECORD_SLOTS, given)


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
        owner: `user_id` and `organization_id`.
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


def record_step(
    connection: Connection, batch_id: str, name: str, message: Message, owner: Mapping[str, Any]
) -> None:
    """Insert a job that is to be recorded later, by the end of others."""
    row = _columns(message, owner) | {"job_id": message.job_id}
    if "not_before" not in message.options:
        del row["available_at"]  # a delay begins when the job is recorded
    job = f'{{"payload":{message.body},{jsonb.dumps(row)[1:]}'
    connection.execute(_RECORD_STEP, {"batch_id": batch_id, "name": name, "job": job})


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


def forget(connection: Connection) -> None:
    """Delete the batches that ended and of whose jobs none is left."""
    connection.execute(_FORGET)


def _columns(message: Message, owner: Mapping[str, Any]) -> dict[str, Any]:
    at = message.available_at
    return {
        "job_type": message.job_type,
        "user_id": owner["user_id"],
        "organization_id": owner["organization_id"],
        "queue": message.options.get("queue"),
        "max_retries": message.options["retries"],
        "options": message.options,
        "available_at": None if at is None else at.isoformat(),
    }
