"""The table of API keys."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, String, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.jobs.kit import OwnerId, OwnerIdColumn

_TIMESTAMP = DateTime(timezone=True)


class ApiKey(Base):
    """One key; only its holder knows more than the prefix.

    Attributes:
        prefix: The key's first characters, to recognise it by.
        digest: SHA-256 of the key, in hex.
        organization_id: The only organization whose jobs it sees and makes; None for all.
        job_types: The only types it may enqueue; None for all.
        last_used_at: To the minute.
    """

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    prefix: Mapped[str] = mapped_column(String(20), unique=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String(20)))
    organization_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    job_types: Mapped[list[str] | None] = mapped_column(ARRAY(String(100)))
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    last_used_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    expires_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    revoked_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
