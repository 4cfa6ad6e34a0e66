"""One attempt at a job: what travels from the verified request to the answer, and its claim.

The claim is one atomic statement, so of any number of deliveries one executes. It hands out a
token, and every later change is a compare-and-set on that token: an attempt whose lease was taken
over changes nothing. What an attempt came to is recorded by the statement of its `outcome`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from socket import gethostname
from typing import Any
from uuid import uuid4

from psycopg import Error as DatabaseError
from psycopg import RawCursor
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import IntegrityError

from ..deadline import raise_if_due
from ..errors import DatabaseUnavailable
from ..registry import JobConfig
from ..values import jsonb
from ..values.ids import OwnerId
from . import attempt_sql
from .db import db, in_one_statement, translate_database_errors
from .deliveries import Delivery
from .unique_sql import is_taken

#: Of a token's digest, as it is kept with an attempt.
KEPT_DIGITS = 32

_CURSOR = "jobs_cursor"
_NUMBERED = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # not annotated

#: Executes a statement and returns the only row that it returns, or None: `alone`, or `within` a
#: transaction.
Execute = Callable[[TextClause, dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to execute a job and to record the outcome, until somebody takes it over.

    After `token`, the fields are what `attempt_sql.CLAIM` returns, in its order.

    Attributes:
        leg: Which part of the job it is, from 1.
        state: What the leg before has left to go on from.
        max_retries: How often QStash tries again; None where somebody else said so.
        waited: Seconds since the job was due; 0 for one that came with this very delivery.
        timeout: Seconds that the handler may take.
        batch_id: The batch that the job is of, or follows.
        called_off: It counts the job, and was cancelled before this attempt began.
        expired: The time is over until which the job may begin.
        schedule_id: The schedule that made the job.
        scheduled_for: The moment of its cron that the job is of.
        once_more: Another job may wait for this one's end.
        attempt: This execution's number, from 1.
    """

    token: str
    generation: int
    leg: int
    state: dict[str, Any] | None
    reschedules: int
    max_retries: int | None
    retried: int
    user_id: OwnerId | None
    organization_id: OwnerId | None
    waited: float
    timeout: float
    batch_id: str | None
    called_off: bool | None
    expired: bool | None
    schedule_id: str | None
    scheduled_for: datetime | None
    once_more: bool
    attempt: int

    @property
    def is_last(self) -> bool:
        """Whether QStash is known not to try again."""
        return self.max_retries is not None and self.retried >= self.max_retries


@dataclass(slots=True, eq=False)
class Attempt:
    """The one thing that travels: each step adds what the next ones need.

    Attributes:
        config: The job's type.
        delivery: What QStash brought; set when it is read.
        lease: Set by the claim.
        started_at: When the handler was called.
        duration_ms: How long it ran; None before its end.
        progress: What it last reported, where that is not on the row yet.
        logged: The lines that it logged, as the row keeps them; None where there are none.
    """

    config: JobConfig
    delivery: Delivery = field(init=False)
    lease: Lease = field(init=False)
    started_at: datetime = field(init=False)
    duration_ms: int | None = field(default=None, init=False)
    progress: dict[str, Any] | None = field(default=None, init=False)
    logged: dict[str, Any] | None = field(default=None, init=False)

    @property
    def job_id(self) -> str:
        return self.delivery.job_id

    @property
    def log_fields(self) -> dict[str, Any]:
        """What a log line says of a claimed attempt."""
        fields = {"jobId": self.job_id, "type": self.config.type, "attempt": self.lease.attempt}
        return fields if self.duration_ms is None else {**fields, "duration_ms": self.duration_ms}

    @property
    def may_be_forgotten(self) -> bool:
        """Whether no row is to be left of it, should there be nothing to do."""
        is_plain_firing = self.delivery.is_firing and self.lease.attempt == 1
        return self.config.forgets_empty and is_plain_firing

    @property
    def row(self) -> dict[str, Any]:
        """The row of a job that is first seen now.

        Its idempotency key stays in the envelope: its producer is responsible for that. How often
        QStash tries again is known only if the publisher has told.
        """
        delivery = self.delivery
        return {
            "job_id": delivery.job_id,
            "job_type": self.config.type,
            "payload": {**delivery.envelope, "jobId": delivery.job_id},
            "user_id": delivery.user_id,
            "organization_id": delivery.organization_id,
            "message_id": delivery.message_id,
            "schedule_id": delivery.schedule_id,
            "scheduled_for": delivery.scheduled_for,
            "tags": list(delivery.tags) or None,
            "max_retries": delivery.max_retries,
        }

    @property
    def unwritten(self) -> dict[str, str | None]:
        """What is not on the row yet, as its statements take it."""
        return {"progress": encoded(self.progress), "logged": encoded(self.logged)}

    def kept(self, outcome: str, status: int, details: dict[str, str]) -> str:
        """Return what the row keeps of this attempt, as JSON."""
        return jsonb.dumps(
            {
                "number": self.lease.attempt,
                "leg": self.lease.leg,
                "message_id": self.delivery.message_id,
                "delivered_by": self.delivery.token.digest[:KEPT_DIGITS],
                "started_at": self.started_at.isoformat(),
                "duration_ms": self.duration_ms,
                "outcome": outcome,
                "status": status,
                "host": gethostname(),
                **details,
            }
        )


def claim(execute: Execute, attempt: Attempt) -> bool:
    """Take the job for this attempt; False where its state, or another's, does not allow it."""
    config, delivery, token = attempt.config, attempt.delivery, str(uuid4())
    given = {
        **asked(attempt),
        "retried": delivery.retried,
        "heartbeat": config.heartbeat,
        "token": token,
        # On disk before the handler starts.
        "synchronous": config.acts_outside,
    }
    try:
        row = execute(attempt_sql.CLAIM, given)
    except IntegrityError as error:
        if not is_taken(error):
            raise
        return False  # of a dead job that is redriven, while another has its key by now
    if row is None:
        return False
    attempt.lease = Lease(token, *row)
    return True


def asked(attempt: Attempt) -> dict[str, Any]:
    """Return what decides whether a delivery may have its job, for `attempt_sql.CLAIMABLE`."""
    config, delivery = attempt.config, attempt.delivery
    return {
        "job_id": delivery.job_id,
        "job_type": config.type,
        "message_id": delivery.message_id,
        "timeout": config.timeout,
        "delivered_by": delivery.token.digest[:KEPT_DIGITS],
        "issued_at": delivery.token.issued_at,
        "edition": delivery.edition,
        **limits_of(config),
    }


def limits_of(config: JobConfig) -> dict[str, str | None]:
    limit = config.flow_control
    return {"queue": config.queue, "key": None if limit is None else limit.key}


def beat(attempt: Attempt, progress: dict[str, Any] | None, heartbeat: float) -> bool | None:
    """Extend the lease and keep the progress.

    Returns:
        Whether somebody has cancelled the job; None if the lease is gone.
    """
    given = {
        "job_id": attempt.job_id,
        "token": attempt.lease.token,
        "progress": encoded(progress),
        "heartbeat": heartbeat,
        "timeout": attempt.lease.timeout,
    }
    row = alone(attempt_sql.BEAT, given)
    return None if row is None else bool(row.cancelled)


def encoded(value: dict[str, Any] | None) -> str | None:
    return None if value is None else jsonb.dumps(value)


def within(connection: Connection) -> Execute:
    """Return what executes a statement in the transaction of a connection."""

    def execute(statement: TextClause, given: dict[str, Any]) -> Any:
        result = connection.execute(statement, given)
        return result.one_or_none() if result.returns_rows else None

    return execute


def alone(statement: TextClause, given: dict[str, Any]) -> Any:
    """Execute a statement that commits by itself, in one round trip, and return its row.

    Each delivery has two, the claim and the completion. SQLAlchemy makes some forty objects around
    a statement (see docs/performance.md), so these go from its pool to the driver, and to itself
    only if they fail: it knows what that says of the connection and of the pool.

    As with `in_one_statement`, it has to be one that changes nothing the second time; raises as
    that does.
    """
    raise_if_due()
    is_lost = False
    try:
        with translate_database_errors():  # of a pool that has no connection left
            pooled = db.engine.raw_connection()
        try:
            return _by_the_driver(pooled, statement, given)
        except BaseException as error:
            is_lost = pooled.driver_connection is None or pooled.driver_connection.closed
            pooled.invalidate(error)
            raise
    except DatabaseError:
        pass
    try:
        return in_one_statement(lambda tx: within(tx)(statement, given))
    except DatabaseUnavailable as error:
        error.is_uncertain |= is_lost
        raise


def _by_the_driver(pooled: Any, statement: TextClause, given: dict[str, Any]) -> Any:
    driver = pooled.driver_connection
    before, driver.autocommit = driver.autocommit, True
    # To make a cursor takes as long as to use it, so each connection keeps one; a raw one, as any
    # other would look for the parameters in a statement as long as the claim each time anew.
    if _CURSOR not in pooled.info:
        pooled.info[_CURSOR] = RawCursor(driver, row_factory=namedtuple_row)
    numbered, names = _for_the_driver(statement)
    cursor = pooled.info[_CURSOR].execute(numbered, [given[name] for name in names])
    # Not `description`, which makes an object for each column.
    row = cursor.fetchone() if cursor.pgresult.nfields else None
    driver.autocommit = before
    pooled.close()
    return row


@cache
def _for_the_driver(statement: TextClause) -> tuple[str, Sequence[str]]:
    """Return a statement with `$1`, `$2`, … for its parameters, and their names in that order."""
    compiled = statement.compile(dialect=_NUMBERED)
    return str(compiled), compiled.positiontup or ()
