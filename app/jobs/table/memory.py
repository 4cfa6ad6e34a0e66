"""What is remembered of jobs beside their rows: which were deleted, and which tokens are spent.

Both are short-lived, and a sweep forgets them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, DateTime, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from .db import Base

_TIMESTAMP = DateTime(timezone=True)

#: Days for which a deleted job is remembered: as long as QStash keeps a dead letter on any plan.
REMEMBERED = 92


@dataclass(frozen=True, slots=True)
class Token:
    """The token of the current request: all of it is signed, unlike QStash's headers.

    Attributes:
        digest: The same for this token only.
        issued_at: When QStash made it, in whole seconds since 1970; None where it does not say.
        expires_at: When it is good no longer.
    """

    digest: str
    issued_at: float | None
    expires_at: datetime


class DeletedJob(Base):
    """A job that was deleted: what QStash says of it later must not bring it back."""

    __tablename__ = "deleted_jobs"
    __table_args__ = (Index("idx_deleted_jobs_deleted_at", "deleted_at"),)

    job_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    deleted_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())


class SpentToken(Base):
    """What brings nothing any more.

    A token that brought a schedule's firing, with the only job that it may bring; or a message
    whose part of a job is done, as a newer one brings the rest: the row keeps only some attempts.
    """

    __tablename__ = "spent_tokens"
    __table_args__ = (Index("idx_spent_tokens_expires_at", "expires_at"),)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(255))
    expires_at: Mapped[datetime] = mapped_column(_TIMESTAMP)


_DELETED = text("SELECT job_id FROM deleted_jobs WHERE job_id = ANY(CAST(:job_ids AS text[]))")

# DO UPDATE, which changes nothing: it waits for a rival's commit and returns the rival's job.
_SPEND = text(
    """
    INSERT INTO spent_tokens AS spent (digest, job_id, expires_at)
    VALUES (:digest, :job_id, :expires_at)
    ON CONFLICT (digest) DO UPDATE SET job_id = spent.job_id
    RETURNING job_id
    """
)

#: The digest of a job's message, as SQL.
MESSAGE = """
    encode(sha256(convert_to(
        'message ' || CAST(:job_id AS text) || ' ' || CAST(:message_id AS text), 'UTF8')), 'hex')
"""
#: Days after which QStash brings no message again that it could not deliver.
UNDELIVERED = 31

_IS_DONE = text(f"SELECT 1 FROM spent_tokens WHERE digest = {MESSAGE}")  # noqa: S608 - ours

_FORGET: Sequence[str] = (
    f"DELETE FROM deleted_jobs WHERE deleted_at < now() - interval '{REMEMBERED} days'",  # noqa: S608 - our own number
    "DELETE FROM spent_tokens WHERE expires_at < now()",
)


def deleted(connection: Connection, job_ids: Sequence[str]) -> set[str]:
    """Return those of the jobs that somebody deleted."""
    return set(map(str, connection.execute(_DELETED, {"job_ids": list(job_ids)}).scalars()))


def spend(connection: Connection, token: Token, job_id: str) -> bool:
    """Have a token bring this job and no other; False if it brought another before."""
    given = {"digest": token.digest, "job_id": job_id, "expires_at": token.expires_at}
    return str(connection.execute(_SPEND, given).scalar_one()) == job_id


def is_done(connection: Connection, job_id: str, message_id: str | None) -> bool:
    """Tell whether this message's part of the job is done, and a newer one brings the rest."""
    given = {"job_id": job_id, "message_id": message_id}
    return connection.execute(_IS_DONE, given).first() is not None


def forget(connection: Connection) -> None:
    """Delete what need not be remembered any more."""
    for statement in _FORGET:
        connection.execute(text(statement))
