"""The table of jobs: a row is the outbox until its job is published, and its record afterwards."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Index,
    String,
    Text,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.orm.attributes import set_committed_value

from ..values.ids import MAX_LENGTH, OwnerId, OwnerIdColumn
from .db import Base
from .unique_sql import holds, runs


class Status(StrEnum):
    """Where a job is in its life; `dead_at` tells a failed job that is retried from a dead one."""

    #: Recorded; waits to be published or delivered.
    PENDING = "pending"
    #: A delivery holds the lease and runs the handler.
    PROCESSING = "processing"
    #: The handler returned. Final.
    COMPLETED = "completed"
    #: The last attempt failed. Dead, and so final until someone retries it, where `dead_at` is set.
    FAILED = "failed"
    #: Somebody called it off. Final until someone retries it.
    CANCELLED = "cancelled"


#: What may follow what, apart from one attempt taking over from another (processing → processing).
#: `update_job_execution` refuses any other change; only a person completes what did not run.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset(
        {Status.PROCESSING, Status.COMPLETED, Status.FAILED, Status.CANCELLED}
    ),
    Status.PROCESSING: frozenset(
        {Status.COMPLETED, Status.FAILED, Status.PENDING, Status.CANCELLED}
    ),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(
        {Status.PROCESSING, Status.PENDING, Status.COMPLETED, Status.CANCELLED}
    ),
    Status.CANCELLED: frozenset({Status.PENDING}),
}

_TIMESTAMP = DateTime(timezone=True)
_NEWEST_FIRST = (text("created_at DESC"), text("id DESC"))


def _newest_first(name: str, column: str) -> Index:
    """Return the index of a column that most jobs leave null."""
    return Index(name, column, *_NEWEST_FIRST, postgresql_where=text(f"{column} IS NOT NULL"))


class JobExecution(Base):
    """One job. Every column has a server default or may be null.

    So a row written by the TypeScript starter, which knows only the columns down to `updated_at`,
    is whole.
    """

    __tablename__ = "job_executions"
    __table_args__ = (
        CheckConstraint(
            "status in ('pending', 'processing', 'completed', 'failed', 'cancelled')",
            name="status",
        ),
        # PostgreSQL's calendar is longer than Python's: a moment beyond it could be written, but
        # not read back, and with it no list and no sweep that has the row among others.
        CheckConstraint(
            "available_at >= '1970-01-01 00:00:00+00' AND available_at < '9000-01-01 00:00:00+00'",
            name="available_at",
        ),
        # Only of jobs that have not ended, by when they are due: so it stays small. A change of
        # status writes into all indexes that have the job, so there must be few of them.
        Index(
            "idx_job_executions_status",
            "status",
            text("coalesce(available_at, created_at)"),
            postgresql_where=text("status IN ('pending', 'processing') AND pause IS NULL"),
        ),
        # Each filter of a list has one that gives its jobs newest first, so that a page of it takes
        # the same time however many jobs there are.
        Index("idx_job_executions_created_at", *_NEWEST_FIRST),
        Index("idx_job_executions_status_created", "status", *_NEWEST_FIRST),
        Index("idx_job_executions_type_created", "job_type", *_NEWEST_FIRST),
        _newest_first("idx_job_executions_user_id", "user_id"),
        _newest_first("idx_job_executions_organization_id", "organization_id"),
        _newest_first("idx_job_executions_schedule_id", "schedule_id"),
        Index(
            "idx_job_executions_error",
            *_NEWEST_FIRST,
            postgresql_where=text("error IS NOT NULL"),
        ),
        # The ids are long, and only looked up: a hash is a fraction of a tree's size.
        Index(
            "idx_job_executions_message_id",
            "message_id",
            postgresql_using="hash",
            postgresql_where=text("message_id IS NOT NULL"),
        ),
        Index(
            "idx_job_executions_idempotency_key",
            "idempotency_key",
            postgresql_using="hash",
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index(
            "uq_job_executions_idempotency_key",
            "job_type",
            "organization_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
            postgresql_nulls_not_distinct=True,
        ),
        # Two places for a key where a job may wait for another's end: see `unique_sql.holds`.
        Index(
            "uq_job_executions_unique_key",
            "unique_key",
            text(f"({runs()})"),
            unique=True,
            postgresql_where=text(holds()),
        ),
        # Most jobs have none of these.
        Index(
            "idx_job_executions_tags",
            "tags",
            postgresql_using="gin",
            postgresql_where=text("tags IS NOT NULL"),
        ),
        Index(
            "idx_job_executions_parent_id",
            "parent_id",
            postgresql_using="hash",
            postgresql_where=text("parent_id IS NOT NULL"),
        ),
        # Partial, so that a sweep reads only what it may have to act on.
        Index(
            "idx_job_executions_unpublished",
            "created_at",
            postgresql_where=text("status = 'pending' AND published_at IS NULL AND pause IS NULL"),
        ),
        Index(
            "idx_job_executions_paused",
            "pause",
            "created_at",
            postgresql_where=text(
                "status = 'pending' AND published_at IS NULL AND pause IS NOT NULL"
            ),
        ),
        Index(
            "idx_job_executions_retrying",
            "created_at",
            postgresql_where=text("status = 'failed' AND dead_at IS NULL"),
        ),
        Index(
            "idx_job_executions_batch_id",
            "batch_id",
            "id",
            postgresql_where=text("batch_id IS NOT NULL"),
        ),
        # Only the runs of schedules that wait or run: whether one does, each firing asks.
        Index(
            "idx_job_executions_schedule_active",
            "schedule_id",
            postgresql_where=text(
                "schedule_id IS NOT NULL AND (status IN ('pending', 'processing')"
                " OR (status = 'failed' AND dead_at IS NULL))"
            ),
        ),
        # For what is counted and judged: `health`.
        Index(
            "idx_job_executions_completed_at",
            text("completed_at DESC"),
            postgresql_where=text("completed_at IS NOT NULL"),
        ),
        Index(
            "idx_job_executions_dead",
            text("created_at DESC"),
            postgresql_where=text("status = 'failed' AND dead_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    job_id: Mapped[str] = mapped_column(String(MAX_LENGTH), unique=True)
    job_type: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(50), server_default="pending")
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[str | None] = mapped_column(Text)
    retry_count: Mapped[int] = mapped_column(server_default="0")
    user_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    organization_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    started_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    completed_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())

    message_id: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    schedule_id: Mapped[str | None] = mapped_column(Text)
    queue: Mapped[str | None] = mapped_column(Text)
    max_retries: Mapped[int | None]
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    available_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    published_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    lease_token: Mapped[str | None] = mapped_column(Uuid(as_uuid=False))
    lease_expires_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(
        JSONB, server_default=text("'[]'::jsonb")
    )
    generation: Mapped[int] = mapped_column(server_default="0")
    reschedules: Mapped[int] = mapped_column(server_default="0")
    legs: Mapped[int] = mapped_column(server_default="0")
    checkpoint: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    dead_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    cancelled_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    pause: Mapped[str | None] = mapped_column(Text)
    # Of several attempts they are long, so only who asks for them reads them.
    logs: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB, deferred=True)
    tags: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    #: The job whose handler enqueued this one.
    parent_id: Mapped[str | None] = mapped_column(String(MAX_LENGTH))
    batch_id: Mapped[str | None] = mapped_column(Uuid(as_uuid=False))
    slot: Mapped[int | None]
    unique_key: Mapped[str | None] = mapped_column(Text)
    #: How far into its life it keeps others out, and until when at most.
    unique_while: Mapped[str | None] = mapped_column(Text)
    unique_until: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    #: For people, and the `edition`: which enqueue has replaced what it is to do.
    uniqueness: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: Of the payload of a job with an idempotency key.
    fingerprint: Mapped[str | None] = mapped_column(Text)
    idempotency_until: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    #: The moment of its schedule's cron that it is the firing of.
    scheduled_for: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    #: How many of its `reschedules` were no wish of its handler's.
    put_backs: Mapped[int] = mapped_column(server_default="0")

    @property
    def is_final(self) -> bool:
        """Whether nothing happens to it any more, unless someone retries it."""
        return self.dead_at is not None or self.status in {Status.COMPLETED, Status.CANCELLED}


@event.listens_for(JobExecution, "load")
@event.listens_for(JobExecution, "refresh")
def _in_shape(row: JobExecution, *_: object) -> None:
    """Show JSON of a shape that is not ours, which others may write, as what it should have been.

    As an error, it would be the end of every list that has the row among others.
    """
    loaded = row.__dict__
    for name in ("payload", "options"):
        if name in loaded and not isinstance(loaded[name], dict):
            set_committed_value(row, name, {"unreadable": loaded[name]})
    if "attempts" in loaded and not _are_attempts(loaded["attempts"]):
        found = loaded["attempts"] if isinstance(loaded["attempts"], list) else []
        set_committed_value(row, "attempts", [one for one in found if _are_attempts([one])])
    if loaded.get("progress") is not None and not _is_progress(loaded["progress"]):
        set_committed_value(row, "progress", None)


def _are_attempts(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("number"), int) for one in value
    )


def _is_progress(value: object) -> bool:
    if not isinstance(value, dict) or not value.keys() >= {"done", "total", "note"}:
        return False
    return isinstance(value["done"], int | float) and isinstance(value["total"], int | float | None)
