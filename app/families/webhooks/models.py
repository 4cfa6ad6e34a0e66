"""The inbox table: what was received, from whom, and the job that processes it."""

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class WebhookEvent(Base):
    """One delivery from a sender, stored once however often it was sent.

    Attributes:
        delivery_id: The sender's id of the delivery or event: the idempotency key.
        verified: False only for a source declared without a verifier, in development.
        headers: The relevant ones, by lower-case name; never a signature.
        body: As received; encrypted if the source is declared sealed.
        job_id: The job that processes it; after a replay, the replay's.
        repeats: How often it came again, and was answered without doing anything.
        repeated_at: When last.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (
        UniqueConstraint("source", "delivery_id"),
        Index("idx_webhook_events_received_at", "received_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    source: Mapped[str] = mapped_column(String(50))
    event: Mapped[str] = mapped_column(String(200))
    delivery_id: Mapped[str] = mapped_column(String(255))
    verified: Mapped[bool]
    sealed: Mapped[bool] = mapped_column(server_default=text("false"))
    received_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    ip_address: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    job_id: Mapped[str | None] = mapped_column(String(255))
    repeats: Mapped[int] = mapped_column(server_default=text("0"))
    repeated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
