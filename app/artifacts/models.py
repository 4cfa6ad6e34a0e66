"""The record of a file that a job produced."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Index, String, Text, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.jobs.kit import MAX_LENGTH, OwnerId, OwnerIdColumn

_TIMESTAMP = DateTime(timezone=True)


class Artifact(Base):
    """One complete file that can be served.

    Attributes:
        name: The file's name for downloads.
        key: Where the store keeps it.
        size: Bytes.
        sha256: In hex.
    """

    __tablename__ = "artifacts"
    __table_args__ = (
        Index("idx_artifacts_expires_at", "expires_at"),
        Index("idx_artifacts_job_id", "job_id"),
    )

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    key: Mapped[str] = mapped_column(Text, unique=True)
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    organization_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    user_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    job_id: Mapped[str | None] = mapped_column(String(MAX_LENGTH))
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(_TIMESTAMP)

    def summary(self) -> dict[str, Any]:
        """Return the file's description for a job's result."""
        return {name: getattr(self, name) for name in ("id", "name", "size", "sha256")}
