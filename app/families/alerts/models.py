"""The state of the health alert: what was sent, and who acknowledged it."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base

_TIMESTAMP = DateTime(timezone=True)


class AlertState(Base):
    """One row per thing that is watched; the only one is job health.

    Attributes:
        verdict: As of the last evaluation.
        reasons: Its reasons, in words.
        told: The verdict of the last alert.
        streak: How many evaluations in a row found a different one.
        since: When that verdict was first found.
        told_at: When the last alert or reminder was sent.
        silenced_until: No alerts until then.
        acknowledged_at, acknowledged_by: Who acknowledged it; no reminders until the next change.
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
