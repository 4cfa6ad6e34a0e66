"""The state changes of one attempt: claim the row, then complete, continue, fail or reschedule it.

The claim is one atomic statement, so of any number of deliveries one executes. It hands out a
token, and every later change is a compare-and-set on that token: an attempt whose lease was taken
over changes nothing. Each of these statements also keeps the attempt on the row.
"""

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from socket import gethostname
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from ..message import Message
from ..outcome import Cancelled, Completed, Continued, Failed, Rescheduled
from ..values import jsonb
from ..values.ids import OwnerId
from . import attempt_sql
from .memory import Token
from .models import Status

#: Of a token's digest, as it is kept with an attempt.
KEPT_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a delivery wants to execute.

    Attributes:
        synchronous: The claim is to be on disk before the handler starts.
    """

    job_id: str
    job_type: str
    message_id: str | None
    retried: int
    retries: int
    timeout: float
    token: Token
    heartbeat: float | None = None
    synchronous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to execute a job and to record the outcome, until somebody takes it over.

    Attributes:
        delivered_by: A digest of the token of its delivery.
        timeout: Seconds that the handler may take.
        attempt: This execution's number, from 1.
        leg: Which part of the job it is, from 1.
        state: What the leg before has left to go on from.
        waited: Seconds since the job was due; 0 for one that came with this very delivery.
        retries: What the job's type says, for when it is published anew.
        max_retries: How often QStash tries again; None where somebody else said so.
    """

    job_id: str
    token: str
    message_id: str | None
    delivered_by: str
    retried: int
    generation: int
    leg: int
    state: dict[str, Any] | None
    reschedules: int
    retries: int
    max_retries: int | None
    user_id: OwnerId | None
    organization_id: OwnerId | None
    waited: float
    timeout: float
    attempt: int

    @property
    def is_last(self) -> bool:
        """Whether QStash is known not to try again."""
        return self.max_retries is not None and self.retried >= self.max_retries


@dataclass(frozen=True, slots=True)
class Row:
    """Why a row could not be claimed: the state it is in.

    Attributes:
        handed_over: The message's part of the job is done, and the rest has a message of its own:
            how that part ended.
    """

    job_type: str
    status: str
    dead: bool
    lease_left: float | None
    handed_over: str | None
    max_retries: int | None

    @property
    def is_final(self) -> bool:
        return self.dead or self.status in {Status.COMPLETED, Status.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When an attempt started, and how long its handler ran."""

    started_at: datetime
    duration_ms: int


def claim(connection: Connection, wanted: Claim) -> Lease | None:
    """Take the job for one attempt; None where the row's state does not allow it."""
    token = str(uuid4())
    row = connection.execute(
        attempt_sql.CLAIM,
        {
            "job_id": wanted.job_id,
            "job_type": wanted.job_type,
            "message_id": wanted.message_id,
            "retried": wanted.retried,
            "timeout": wanted.timeout,
            "heartbeat": wanted.heartbeat,
            "token": token,
            "delivered_by": wanted.token.digest[:KEPT_DIGITS],
            "issued_at": wanted.token.issued_at,
            "synchronous": wanted.synchronous,
        },
    ).one_or_none()
    if row is None:
        return None
    return Lease(
        job_id=wanted.job_id,
        token=token,
        message_id=wanted.message_id,
        delivered_by=wanted.token.digest[:KEPT_DIGITS],
        retries=wanted.retries,
        **row._mapping,  # noqa: SLF001 - public in spite of its name, says SQLAlchemy
    )


def look(connection: Connection, job_id: str, message_id: str | None = None) -> Row | None:
    """Return the state of a job that a message could not claim; None if there is no such row."""
    asked = {"job_id": job_id, "message_id": message_id}
    row = connection.execute(attempt_sql.LOOK, asked).one_or_none()
    return None if row is None else Row(*row)


def complete(connection: Connection, lease: Lease, outcome: Completed, timing: Timing) -> bool:
    """Record success; False if the lease is no longer ours."""
    given = {
        "result": _encoded(outcome.result),
        "progress": _encoded(outcome.progress),
        "attempt": _attempt(lease, timing, "completed", 200),
    }
    return bool(_change(connection, attempt_sql.COMPLETE, lease, **given).rowcount)


def hand_over(
    connection: Connection, lease: Lease, outcome: Continued, timing: Timing, endpoint: str
) -> Message | Cancelled | None:
    """Keep the checkpoint and return the next leg's message; otherwise as `reschedule`."""
    row = _change(
        connection,
        attempt_sql.CONTINUE,
        lease,
        message_id=lease.message_id,
        state=jsonb.dumps(outcome.state),
        retries=lease.retries,
        progress=_encoded(outcome.progress),
        attempt=_attempt(lease, timing, "continued", 200),
    ).one_or_none()
    return _put_back(lease, row, endpoint)


def fail(connection: Connection, lease: Lease, outcome: Failed, timing: Timing) -> bool:
    """Record a failure, dead if it is permanent or was the last; False if the lease is gone."""
    attempt = _attempt(
        lease,
        timing,
        "failed",
        489 if outcome.permanent else 500,
        kind=outcome.kind,
        error=outcome.error,
        traceback=outcome.traceback,
    )
    given = {"error": outcome.error, "permanent": outcome.permanent, "attempt": attempt}
    return bool(_change(connection, attempt_sql.FAIL, lease, **given).rowcount)


def reschedule(
    connection: Connection, lease: Lease, outcome: Rescheduled, timing: Timing, endpoint: str
) -> Message | Cancelled | None:
    """Put the job back and return what to publish anew.

    Returns:
        `Cancelled` if somebody had cancelled the job meanwhile; None if the lease is gone.
    """
    row = _change(
        connection,
        attempt_sql.RESCHEDULE,
        lease,
        message_id=lease.message_id,
        error=outcome.error,
        delay=outcome.delay,
        retries=lease.retries,
        attempt=_attempt(lease, timing, outcome.kind, 200, error=outcome.error),
    ).one_or_none()
    return _put_back(lease, row, endpoint)


def cancel(connection: Connection, lease: Lease, outcome: Cancelled, timing: Timing) -> bool:
    """Record that the handler stopped as somebody had asked; False if the lease is gone."""
    attempt = _attempt(lease, timing, "cancelled", 200, error=outcome.error)
    given = {"error": outcome.error, "attempt": attempt}
    return bool(_change(connection, attempt_sql.CANCEL, lease, **given).rowcount)


def beat(
    connection: Connection, lease: Lease, progress: dict[str, Any] | None, heartbeat: float
) -> bool | None:
    """Extend the lease and keep the progress.

    Returns:
        Whether somebody has cancelled the job; None if the lease is gone.
    """
    given = {
        "progress": _encoded(progress),
        "heartbeat": heartbeat,
        "timeout": lease.timeout,
    }
    found: bool | None = _change(connection, attempt_sql.BEAT, lease, **given).scalar_one_or_none()
    return found


def _put_back(lease: Lease, row: Any, endpoint: str) -> Message | Cancelled | None:
    if row is None:
        return None
    if row.status == Status.CANCELLED:
        return Cancelled()
    return Message(
        job_id=lease.job_id,
        job_type=row.job_type,
        endpoint=endpoint,
        body=jsonb.dumps(row.payload),
        options={"retries": row.max_retries, "timeout": ceil(lease.timeout), **row.options},
        generation=row.generation,
        legs=row.legs,
        reschedules=row.reschedules,
        available_at=row.available_at,
    )


def _change(connection: Connection, statement: Any, lease: Lease, **values: Any) -> Any:
    owner = {"job_id": lease.job_id, "token": lease.token}
    return connection.execute(statement, owner | values)


def _attempt(lease: Lease, timing: Timing, outcome: str, status: int, **details: str) -> str:
    return jsonb.dumps(
        {
            "number": lease.attempt,
            "leg": lease.leg,
            "message_id": lease.message_id,
            "delivered_by": lease.delivered_by,
            "started_at": timing.started_at.isoformat(),
            "duration_ms": timing.duration_ms,
            "outcome": outcome,
            "status": status,
            "host": gethostname(),
            **details,
        }
    )


def _encoded(value: dict[str, Any] | None) -> str | None:
    return None if value is None else jsonb.dumps(value)
