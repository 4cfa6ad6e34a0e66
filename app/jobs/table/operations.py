"""What is done by hand to many jobs, in batches, and how far each of these operations is."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, String, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..values.ids import OwnerId, OwnerIdColumn
from .db import Base

_TIMESTAMP = DateTime(timezone=True)


class OperationState(StrEnum):
    """Where an operation is in its life."""

    RUNNING = "running"
    #: Somebody asked it to stop; what is done stays done.
    STOPPED = "stopped"
    DONE = "done"


class JobOperation(Base):
    """One action on many jobs.

    Attributes:
        actor: Who asked for it.
        filter: Which jobs were asked for, as they were at `created_at`.
        options: What else the action was given, such as the queue to move jobs to.
        organization_id: Of an actor who sees the jobs of this organization only.
        total: How many jobs there were to change when it was asked for.
        changed: How many have been.
        asked: Those of them that ran, and were asked to stop.
        waiting: Those that QStash could not take yet; the sweep publishes them.
        position: The row id of the last job that was looked at.
        audit_id: Its line in the audit.
        job_id: The job that works it off.
    """

    __tablename__ = "job_operations"
    __table_args__ = (
        CheckConstraint("state in ('running', 'stopped', 'done')", name="state"),
        Index("idx_job_operations_created_at", text("created_at DESC")),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    ended_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(20))
    filter: Mapped[dict[str, Any]] = mapped_column(JSONB)
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    organization_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    state: Mapped[str] = mapped_column(String(20), server_default="running")
    total: Mapped[int] = mapped_column(server_default="0")
    changed: Mapped[int] = mapped_column(server_default="0")
    asked: Mapped[int] = mapped_column(server_default="0")
    waiting: Mapped[int] = mapped_column(server_default="0")
    position: Mapped[int] = mapped_column(BigInteger, server_default="0")
    audit_id: Mapped[int | None] = mapped_column(BigInteger)
    job_id: Mapped[str | None] = mapped_column(String(255))
