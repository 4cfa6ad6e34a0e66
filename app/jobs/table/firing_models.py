"""The tables of schedules that have rules, and of their firings; `firings` has their statements."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Index, String, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .db import Base

_TIMESTAMP = DateTime(timezone=True)


class JobSchedule(Base):
    """A schedule with rules, as this app last gave it to QStash; a firing locks its row.

    Attributes:
        rules: As the envelopes of its firings have them.
        options: Those of its messages, for a firing that this app publishes itself.
        accounted_until: Of its firings, those up to here are none that were missed.
    """

    __tablename__ = "job_schedules"

    schedule_id: Mapped[str] = mapped_column(Text, primary_key=True)
    cron: Mapped[str] = mapped_column(Text)
    rules: Mapped[dict[str, Any]] = mapped_column(JSONB)
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    accounted_until: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())


class JobFiring(Base):
    """What became of one firing of a schedule with rules: each is here once.

    Attributes:
        scheduled_for: The moment that its cron named.
        outcome: "fired"; "caught up", as its job was missed; "skipped"; or "missed", for good.
        job_id: The job that did it; of what was missed, the one that made up for it.
        reason: Why it was skipped or missed, or waits.
    """

    __tablename__ = "job_firings"
    __table_args__ = (Index("idx_job_firings_noted_at", "noted_at"),)

    schedule_id: Mapped[str] = mapped_column(Text, primary_key=True)
    scheduled_for: Mapped[datetime] = mapped_column(_TIMESTAMP, primary_key=True)
    outcome: Mapped[str] = mapped_column(String(20))
    job_id: Mapped[str | None] = mapped_column(String(255))
    reason: Mapped[str | None] = mapped_column(Text)
    noted_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
