"""The tables of batches; `batches` has their statements."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Index, String, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..values.ids import OwnerId, OwnerIdColumn
from .db import Base

_TIMESTAMP = DateTime(timezone=True)


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
