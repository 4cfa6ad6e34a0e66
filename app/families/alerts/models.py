"""What people were told of the jobs' health, and who did something about it."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

_TIMESTAMP = DateTime(timezone=True)


class AlertState(Base):
    """One row for each thing that is watched; there is one: the health of the jobs.

    Attributes:
        verdict: As of the last evaluation.
        reasons: Its reasons, in words.
        told: The verdict that people know of.
        streak: How many evaluations in a row found another.
        since: When the verdict that people know of was first found.
        told_at: When they were last told, also again.
        silenced_until: Until then nobody is told anything.
        acknowledged_at, acknowledged_by: Who takes care; no reminders until the next change.
    """

    __tablename__ = "alert_states"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    verdict: Mapped[str] = mapped_column(String(20), server_default="healthy")
    reasons: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    told: Mapped[str] = mapped_column(String(20), server_default="healthy")
    streak: Mapped[int] = mapped_column(server_default="0")
    since: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    evaluated_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    told_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    silenced_until: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    acknowledged_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
