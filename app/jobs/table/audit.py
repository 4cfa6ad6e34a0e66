"""Who did what to which jobs by hand.

What changed nothing leaves no line. Where only somebody else's answer tells that, such as QStash's,
the line is written before, and says afterwards that it came to nothing.
"""

import getpass
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Index,
    String,
    Table,
    Text,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..values import jsonb
from .db import Base, db, in_transaction

#: How many ids of one action are kept.
KEPT_IDS = 100


class JobAudit(Base):
    """One manual action.

    Attributes:
        actor: Who: a name from the command line, or the account of the operating system.
        filter: Which jobs were asked for.
        job_count: How many there were.
        job_ids: Of 100 of them.
    """

    __tablename__ = "job_audit"
    __table_args__ = (
        Index("idx_job_audit_created_at", text("created_at DESC")),
        # jsonb_path_ops: it only has to answer whether an id is among them.
        Index(
            "idx_job_audit_job_ids",
            "job_ids",
            postgresql_using="gin",
            postgresql_ops={"job_ids": "jsonb_path_ops"},
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(20))
    filter: Mapped[dict[str, Any]] = mapped_column(JSONB)
    job_count: Mapped[int] = mapped_column(server_default="0")
    job_ids: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))


_table = cast("Table", JobAudit.__table__)

_ADD_JOBS = text(
    f"""
    UPDATE job_audit
       SET job_count = job_count + :count,
           job_ids = jsonb_path_query_array(job_ids || CAST(:job_ids AS jsonb),
                                            '$[0 to {KEPT_IDS - 1}]')
     WHERE id = :id
    """  # noqa: S608 - the only value in the text is this module's number
)


def record_action(
    connection: Connection, *, actor: str, action: str, wanted: dict[str, Any]
) -> int:
    """Record that somebody acts; return the record's id for `add_jobs`."""
    values = {"actor": jsonb.clean_text(actor), "action": action, "filter": jsonb.clean(wanted)}
    made: int = connection.execute(
        _table.insert().values(values).returning(_table.c.id)
    ).scalar_one()
    return made


def note(action: str, *, by: str, wanted: dict[str, Any]) -> int:
    """Record what somebody does to no job in the table, such as to a schedule, by itself.

    Before it is done: whoever does it may never hear how that ended.

    Returns:
        The record's id, for `note_no_change`.
    """
    return in_transaction(lambda tx: record_action(tx, actor=by, action=action, wanted=wanted))


def note_no_change(audit_id: int) -> None:
    """Add to a record that what it tells of came to nothing."""
    said = _table.c.filter.op("||")(literal({"changed": 0}, JSONB))
    change = update(_table).where(_table.c.id == audit_id).values(filter=said)
    in_transaction(lambda tx: tx.execute(change))


def add_jobs(connection: Connection, audit_id: int, job_ids: Sequence[str]) -> None:
    """Add jobs to a record, in the transaction that changes them."""
    kept = jsonb.dumps(list(job_ids[:KEPT_IDS]))
    connection.execute(_ADD_JOBS, {"id": audit_id, "count": len(job_ids), "job_ids": kept})


def entries_of(job_id: str) -> list[JobAudit]:
    """Return what was done to a job by hand, the oldest first.

    Of an action on more than 100 jobs only those are known.
    """
    query = select(JobAudit).where(JobAudit.job_ids.contains([job_id]))
    return list(db.session.scalars(query.order_by(JobAudit.created_at, JobAudit.id)))


def entries(
    *, before: int | None = None, actor: str | None = None, action: str | None = None, limit: int
) -> list[JobAudit]:
    """Return what was done by hand, the newest first.

    Args:
        before: The id of an entry: only older ones.
        actor: Only what this one did.
        action: Only such actions.
        limit: How many at most.
    """
    query = select(JobAudit).order_by(JobAudit.id.desc()).limit(limit)
    if before is not None:
        query = query.where(JobAudit.id < before)
    if actor:
        query = query.where(JobAudit.actor == actor)
    if action:
        query = query.where(JobAudit.action == action)
    return list(db.session.scalars(query))


def current_account() -> str:
    """Name the account of the operating system; a container's may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
