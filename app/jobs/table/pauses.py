"""What is paused, and which jobs that holds.

A pause is written `kind:name`, such as "type:send-email". A job that comes into the outbox under
one keeps it in its column `pause`, which takes it out of the indexes of what is due and of what is
to be published: however many jobs wait for a pause to end, the others are found as fast.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, DateTime, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from .db import Base
from .unique_sql import followed

#: Characters of a name: as many as the longest of what can be paused has.
LONGEST_NAME = 256


class Kind(StrEnum):
    """What can be paused."""

    TYPE = "type"
    QUEUE = "queue"
    KEY = "key"
    ORGANIZATION = "organization"


class JobPause(Base):
    """A pause that holds; a resume deletes it.

    Attributes:
        pause: The kind of what is paused, a colon, and its name.
        reason: Why, in the words of who did it.
        paused_by: Who: a name from the command line, or an account.
    """

    __tablename__ = "job_pauses"

    pause: Mapped[str] = mapped_column(String(300), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    paused_by: Mapped[str] = mapped_column(Text)
    paused_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """One pause.

    Attributes:
        kind: What is paused: a job type, a queue, a flow-control key or an organization.
        name: Which.
        since: When it began.
    """

    kind: Kind
    name: str
    reason: str
    by: str
    since: datetime

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}"

    def __str__(self) -> str:
        return f"paused by {self.by}: {self.reason}"


#: The pause that holds a job which is about to be recorded; null where none does.
HOLDING_GIVEN = "(SELECT min(pause) FROM job_pauses WHERE pause = ANY(CAST(:pauses AS text[])))"


def holding(job: str, *, moved_to: str | None = None) -> str:
    """Return, as SQL, what holds a row: a pause, or a job of its key that runs; null for nothing.

    Args:
        job: What the statement calls the row.
        moved_to: What gives its queue, if the statement changes that.
    """
    own = moved_to or f"{job}.queue"
    found = _HELD.format(job=job, own=own, queue="NULL", key="NULL")
    return f"coalesce((SELECT min(held.pause) {found}), {followed(job)})"


#: Of the row of a job that somebody else published, which does not tell its queue and its
#: flow-control key, the parameters `queue` and `key` do: those of its type.
_HELD = """
    FROM job_pauses AS held WHERE held.pause IN (
        'type:' || {job}.job_type,
        'organization:' || {job}.organization_id,
        'queue:' || coalesce({own},
                             CASE WHEN {job}.options = CAST('{{}}' AS jsonb) THEN {queue} END),
        'key:' || coalesce({job}.options->'flow_control'->>'key',
                           CASE WHEN {job}.options = CAST('{{}}' AS jsonb) THEN {key} END))
"""
_OF_DELIVERY = _HELD.format(
    job="job_executions",
    own="job_executions.queue",
    queue="CAST(:queue AS text)",
    key="CAST(:key AS text)",
)

_FOLLOWED = followed("job_executions")

#: Whether anything holds the row `job_executions` that a delivery is about.
IS_HELD = f"(EXISTS (SELECT {_OF_DELIVERY}) OR {_FOLLOWED} IS NOT NULL)"
#: Which does.
HOLDING_DELIVERED = f"coalesce((SELECT min(held.pause) {_OF_DELIVERY}), {_FOLLOWED})"

_ALL = text("SELECT * FROM job_pauses ORDER BY paused_at, pause")
_BEGIN = text(
    """
    INSERT INTO job_pauses (pause, reason, paused_by) VALUES (:pause, :reason, :by)
    ON CONFLICT (pause) DO UPDATE SET reason = excluded.reason, paused_by = excluded.paused_by
     WHERE job_pauses.reason <> excluded.reason
    RETURNING *
    """
)
_ONE = text("SELECT * FROM job_pauses WHERE pause = :pause")
_END = text("DELETE FROM job_pauses WHERE pause = :pause RETURNING *")


def all_pauses(connection: Connection) -> list[Pause]:
    """Return the pauses that hold, the oldest first."""
    return [_read(row) for row in connection.execute(_ALL)]


def begin(
    connection: Connection, kind: Kind, name: str, *, reason: str, by: str
) -> tuple[Pause, bool]:
    """Pause, or say of what is paused who did it last, and why; tell whether that is any change."""
    given = {"pause": f"{kind}:{name}", "reason": reason, "by": by}
    changed = connection.execute(_BEGIN, given).one_or_none()
    return _read(changed or connection.execute(_ONE, given).one()), changed is not None


def end(connection: Connection, kind: Kind, name: str) -> Pause | None:
    """Resume; return the pause that held, None where none did."""
    row = connection.execute(_END, {"pause": f"{kind}:{name}"}).one_or_none()
    return None if row is None else _read(row)


def _read(row: Any) -> Pause:
    kind, _, name = row.pause.partition(":")
    return Pause(
        kind=Kind(kind), name=name, reason=row.reason, by=row.paused_by, since=row.paused_at
    )
