"""The table of API keys."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, String, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.jobs.kit import OwnerId, OwnerIdColumn

_TIMESTAMP = DateTime(timezone=True)


class ApiKey(Base):
    """One key, of which only its holder knows more than the beginning.

    Attributes:
        prefix: The key's beginning, to recognise it by.
        digest: SHA-256 of the key, in hex.
        organization_id: Whose jobs alone it sees and makes; None for everybody's.
        job_types: What alone it may enqueue; None for every type.
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
