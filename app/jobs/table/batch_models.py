"""The tables of batches; `batches` has their statements."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Double, ForeignKey, Index, String, Text, Uuid, false, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..values.ids import OwnerId, OwnerIdColumn
from .db import Base

_TIMESTAMP = DateTime(timezone=True)


class JobBatch(Base):
    """Jobs that belong together.

    Attributes:
        kind: "batch", or "workflow", which has steps.
        state: "running", "completed", "failed" (ended, with some dead) or "cancelled".
        turns: Grows whenever it is looked whether the batch has ended.
    """

    __tablename__ = "job_batches"
    __table_args__ = (
        Index("idx_job_batches_created_at", text("created_at DESC"), "id"),
        Index("idx_job_batches_state", "state", "created_at"),
    )

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(20), server_default="batch")
    state: Mapped[str] = mapped_column(String(20), server_default="running")
    user_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    organization_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    ended_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    cancelled_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    turns: Mapped[int] = mapped_column(server_default="0")


class BatchSlot(Base):
    """A part of a batch's count, or of a step's: of the jobs with this slot, how many wait."""

    __tablename__ = "job_batch_slots"

    batch_id: Mapped[str] = mapped_column(
        Uuid(as_uuid=False), ForeignKey("job_batches.id", ondelete="CASCADE"), primary_key=True
    )
    slot: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str | None] = mapped_column(String(100))
    jobs: Mapped[int]
    pending: Mapped[int]
    dead: Mapped[int] = mapped_column(server_default="0")
    cancelled: Mapped[int] = mapped_column(server_default="0")


class JobStep(Base):
    """A job that is recorded once others have ended, or a signal that is waited for then.

    Attributes:
        kind: "job" or "wait", of a workflow; "then" or "on_failure", by a batch's end.
        slot: What counts its jobs; null of what follows the end.
        after: The steps that it waits for.
        if_dead: What becomes of it if one of these did not complete: "stop", "go on" or "replace".
        job: The job's row as it will be.
        instead: The same of the job that replaces it.
        event: What a wait waits for, and `match` what a signal of that must have.
        ended: "completed", "dead", "cancelled", "replaced" or "skipped", as of the last look.
        job_id: The job that was started for it.
        result: What came with the signal; or what its job returned, once that is deleted.
    """

    __tablename__ = "job_steps"
    __table_args__ = tuple(
        Index(
            f"idx_job_steps_{column}",
            column,
            postgresql_where=text(f"{column} IS NOT NULL AND ended IS NULL"),
        )
        for column in ("event", "due_at")
    )

    batch_id: Mapped[str] = mapped_column(
        Uuid(as_uuid=False), ForeignKey("job_batches.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    slot: Mapped[int | None]
    after: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    if_dead: Mapped[str] = mapped_column(String(20), server_default="stop")
    job: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    instead: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    event: Mapped[str | None] = mapped_column(String(255))
    match: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    timeout: Mapped[float | None] = mapped_column(Double)
    started_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    ended: Mapped[str | None] = mapped_column(String(20))
    is_replaced: Mapped[bool] = mapped_column(server_default=false())
    job_id: Mapped[str | None] = mapped_column(String(255))
    due_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    signalled_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
