"""Who may sign in to the dashboard, who has, and who tried to: tables of their own, all small."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ..values.ids import OwnerId, OwnerIdColumn
from .db import Base

_TIMESTAMP = DateTime(timezone=True)


class JobUser(Base):
    """Somebody who signs in by a password.

    Attributes:
        name: As it was first written; two that differ in case only are one.
        role: `viewer`, `operator` or `admin`.
        organization_id: Of somebody who sees the jobs of this organization only.
    """

    __tablename__ = "job_users"
    __table_args__ = (
        CheckConstraint("role in ('viewer', 'operator', 'admin')", name="role"),
        Index("uq_job_users_name", text("lower(name)"), unique=True),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(20))
    organization_id: Mapped[OwnerId | None] = mapped_column(OwnerIdColumn)
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    disabled_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)


class JobUserSession(Base):
    """A browser that is signed in: its cookie has what `digest` is of."""

    __tablename__ = "job_user_sessions"
    __table_args__ = (Index("idx_job_user_sessions_job_user_id", "job_user_id"),)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    job_user_id: Mapped[int] = mapped_column(ForeignKey("job_users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=func.now())


class JobSignInAttempts(Base):
    """How often was tried to sign in, by a name or from an address, of which `digest` is."""

    __tablename__ = "job_sign_in_attempts"
    __table_args__ = (Index("idx_job_sign_in_attempts_since", "since"),)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    since: Mapped[datetime] = mapped_column(_TIMESTAMP)
    attempts: Mapped[int]


EVERYBODY = text(
    """
    SELECT job_users.name, role, organization_id, created_at, disabled_at, at AS signed_in_at
      FROM job_users LEFT JOIN job_marks ON job_marks.name = :mark || job_users.id
     ORDER BY lower(job_users.name)
    """
)
#: Those who may change users.
LOCK_ADMINS = text(
    """
    SELECT id FROM job_users
     WHERE role = 'admin' AND disabled_at IS NULL AND organization_id IS NULL
     ORDER BY id FOR UPDATE
    """
)

#: Counts one more, anew where the time of counting is over.
COUNT_ATTEMPT = text(
    """
    INSERT INTO job_sign_in_attempts AS before (digest, since, attempts)
    VALUES (:digest, now(), 1)
    ON CONFLICT (digest) DO UPDATE
       SET attempts = CASE WHEN before.since > now() - make_interval(secs => :seconds)
                           THEN before.attempts + 1 ELSE 1 END,
           since = CASE WHEN before.since > now() - make_interval(secs => :seconds)
                        THEN before.since ELSE now() END
    RETURNING attempts,
              extract(epoch FROM since + make_interval(secs => :seconds) - now())::float8 AS rest
    """
)
FORGET_ATTEMPTS = text(
    "DELETE FROM job_sign_in_attempts WHERE since < now() - make_interval(secs => :seconds)"
)
FORGIVE = text("DELETE FROM job_sign_in_attempts WHERE digest = :digest")

# Only while the password is the one that was checked: whoever changes it meanwhile is waited for.
BEGIN_SESSION = text(
    """
    INSERT INTO job_user_sessions (digest, job_user_id)
    SELECT :digest, id FROM job_users
     WHERE id = :id AND password_hash = :password_hash AND disabled_at IS NULL
       FOR SHARE
    """
)
#: Those that ended by themselves; nobody can use them any more.
FORGET_SESSIONS = text(
    """
    DELETE FROM job_user_sessions
     WHERE seen_at < now() - make_interval(secs => :idle)
        OR created_at < now() - make_interval(secs => :longest)
    """
)
FIND_SESSION = text(
    """
    SELECT job_users.*, seen_at < now() - interval '1 minute' AS is_old
      FROM job_user_sessions JOIN job_users ON job_users.id = job_user_id
     WHERE digest = :digest AND disabled_at IS NULL
       AND seen_at > now() - make_interval(secs => :idle)
       AND job_user_sessions.created_at > now() - make_interval(secs => :longest)
    """
)
SEE_SESSION = text("UPDATE job_user_sessions SET seen_at = now() WHERE digest = :digest")
END_SESSION = text(
    """
    DELETE FROM job_user_sessions AS session USING job_users AS owner
     WHERE digest = :digest AND owner.id = session.job_user_id
    RETURNING owner.name
    """
)
END_SESSIONS = text("DELETE FROM job_user_sessions WHERE job_user_id = :job_user_id")
