"""The statements of workflows: batches with steps, each begun by the end of those before it.

The functions that begin them are the database's own: see `migrations/versions/0007_batches.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB

from ..errors import PermanentError
from ..message import Message
from ..values import jsonb, results
from ..values.ids import OwnerId
from .batches import columns_of
from .db import in_one_statement

#: What may become of a step if one before it did not complete.
STOP, GO_ON, REPLACE = "stop", "go on", "replace"

_RECORD = text(
    """
    INSERT INTO job_steps (batch_id, name, kind, slot, after, if_dead, job, instead, event, match,
                           timeout)
    SELECT :batch_id, step.name, step.kind, step.slot, step.after, step.if_dead, step.job,
           step.instead, step.event, step.match, step.timeout
      FROM jsonb_populate_recordset(CAST(NULL AS job_steps), CAST(:steps AS jsonb)) AS step
    """
)
_NAMES = text("SELECT name FROM job_steps WHERE batch_id = :batch_id AND slot IS NOT NULL")
_COMPLETED = text(
    "SELECT name FROM job_steps"
    " WHERE batch_id = :batch_id AND slot IS NOT NULL AND ended = 'completed'"
)
_RESULT = text(
    """
    SELECT coalesce(job.result, step.result) AS result
      FROM job_steps AS step LEFT JOIN job_executions AS job ON job.job_id = step.job_id
     WHERE step.batch_id = :batch_id AND step.name = :name AND step.ended = 'completed'
    """
).columns(result=JSONB)
_STEPS = text(
    """
    SELECT step.name, step.kind, step.after, step.job_id,
           coalesce(step.job, step.instead) ->> 'job_type' AS job_type, step.event,
           CASE WHEN step.ended = 'replaced' THEN 'replaced'
                WHEN sum(part.pending) > 0 THEN 'running'
                WHEN sum(part.dead) > 0 AND step.kind = 'wait' THEN 'timed out'
                WHEN sum(part.dead) > 0 THEN 'dead'
                WHEN sum(part.cancelled) > 0 THEN 'cancelled'
                WHEN step.ended IS NOT NULL THEN step.ended
                WHEN step.started_at IS NOT NULL THEN
                CASE WHEN follower.status = 'failed' AND follower.dead_at IS NOT NULL THEN 'dead'
                     WHEN follower.status = 'failed' THEN 'retrying'
                     ELSE coalesce(follower.status::text, 'started') END
                WHEN batch.state = 'running' AND batch.cancelled_at IS NULL THEN 'waiting'
                ELSE 'skipped' END AS state,
           coalesce(sum(part.jobs), 0)::int AS jobs, coalesce(sum(part.pending), 0)::int AS pending,
           step.started_at, step.due_at
      FROM job_steps AS step JOIN job_batches AS batch ON batch.id = step.batch_id
      LEFT JOIN job_batch_slots AS part ON part.batch_id = step.batch_id AND part.step = step.name
      LEFT JOIN job_executions AS follower
             ON follower.job_id = step.job_id AND step.slot IS NULL
     WHERE step.batch_id = :batch_id
     GROUP BY step.batch_id, step.name, batch.id, follower.id
     ORDER BY step.slot NULLS LAST, step.name
    """
)
_LISTENING = text(
    """
    SELECT batch_id::text, step.name
      FROM job_steps AS step JOIN job_batches AS batch ON batch.id = step.batch_id
     WHERE event = :event AND ended IS NULL AND signalled_at IS NULL
       AND match <@ CAST(:data AS jsonb)
       AND (CAST(:organization_id AS text) IS NULL
            OR CAST(organization_id AS text) = :organization_id)
     ORDER BY batch_id
    """
)
_LATE = text(
    """
    SELECT batch_id::text, name FROM job_steps
     WHERE due_at <= now() AND ended IS NULL AND signalled_at IS NULL
     ORDER BY due_at LIMIT :limit
    """
)
_HEAR = text(
    "SELECT job_step_hear(CAST(:batch_id AS uuid), CAST(:name AS text), CAST(:data AS jsonb),"
    " :in_time)"
)
_STOP_LISTENING = text(
    """
    UPDATE job_batch_slots AS part SET pending = 0, cancelled = 1
      FROM job_steps AS step
     WHERE part.batch_id = :batch_id AND part.pending > 0 AND step.batch_id = part.batch_id
       AND step.name = part.step AND step.kind = 'wait'
    """
)


_LOCK = text("SELECT FROM job_batches WHERE id = :batch_id FOR NO KEY UPDATE")
# As a retry does with a job. What was skipped waits once more for what comes before it.
_LISTEN_AGAIN = text(
    """
    WITH again AS (
        UPDATE job_steps
           SET ended = NULL, due_at = clock_timestamp() + make_interval(secs => timeout)
         WHERE batch_id = :batch_id AND kind = 'wait' AND ended IN ('dead', 'cancelled')
        RETURNING batch_id, name),
    in_question AS (
        UPDATE job_steps SET ended = NULL
         WHERE batch_id = :batch_id AND ended = 'skipped' AND EXISTS (SELECT FROM again)),
    counted AS (
        UPDATE job_batch_slots AS part SET pending = 1, dead = 0, cancelled = 0
          FROM again WHERE part.batch_id = again.batch_id AND part.step = again.name),
    reopened AS (
        UPDATE job_batches SET state = 'running', ended_at = NULL, cancelled_at = NULL
         WHERE id = :batch_id AND EXISTS (SELECT FROM again))
    SELECT count(*) FROM again
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step to be recorded.

    Attributes:
        slot: What will count its jobs: a number that no other slot of the workflow has.
        job: Its job's first message, and what else its row has: see `batches.columns_of`.
        instead: The same of the job that replaces it.
        event: What it waits for, instead of a job.
        timeout: Seconds that it does so.
    """

    name: str
    slot: int
    after: Sequence[str] = ()
    if_dead: str = STOP
    job: tuple[Message, Mapping[str, Any]] | None = None
    instead: tuple[Message, Mapping[str, Any]] | None = None
    event: str | None = None
    match: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class StepState:
    """A step as it is now.

    Attributes:
        state: "waiting", "running", "completed", "dead", "timed out", "cancelled", "skipped" or
            "replaced" by the job that was to run if one before it did not complete. Of what follows
            the end, its job's once that is recorded: "pending", "processing", "retrying",
            "completed", "dead" or "cancelled"; "started" where it has been deleted.
    """

    name: str
    kind: str
    after: list[str]
    job_id: str | None
    job_type: str | None
    event: str | None
    state: str
    jobs: int
    pending: int
    started_at: datetime | None
    due_at: datetime | None

    @property
    def is_following(self) -> bool:
        """Whether it is no step, but follows the end."""
        return self.kind not in {"job", "wait"}


class Results(Mapping[str, Any]):
    """What completed steps returned, by their names; each is read when it is asked for.

    One that was too large to be kept raises `PermanentError`: no retry brings it back.
    """

    def __init__(self, batch_id: str | None) -> None:
        self._batch_id = batch_id

    def __getitem__(self, name: str) -> Any:
        given = {"batch_id": self._batch_id, "name": name}
        row = in_one_statement(lambda tx: tx.execute(_RESULT, given).one_or_none())
        if row is None:
            raise KeyError(name)
        if size := results.size_before(row.result):
            raise PermanentError(
                f"the result of step {name!r} had {size:,} bytes, and one of more than "
                f"{results.LARGEST:,} is not kept: store what is large, and return where it is"
            )
        return row.result

    def __iter__(self) -> Iterator[str]:
        given = {"batch_id": self._batch_id}
        return iter(in_one_statement(lambda tx: tx.execute(_COMPLETED, given).scalars().all()))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def record_steps(connection: Connection, batch_id: str, steps: Sequence[Step]) -> None:
    """Insert steps, of which none begins before the workflow is advanced."""
    rows = ",".join(map(_row, steps))
    connection.execute(_RECORD, {"batch_id": batch_id, "steps": f"[{rows}]"})


def names(connection: Connection, batch_id: str) -> list[str]:
    return list(connection.execute(_NAMES, {"batch_id": batch_id}).scalars())


def steps(connection: Connection, batch_id: str) -> list[StepState]:
    """Return a workflow's steps as they are now, and what follows its end."""
    return [StepState(*row) for row in connection.execute(_STEPS, {"batch_id": batch_id})]


def listening(
    connection: Connection, event: str, data: Mapping[str, Any], organization_id: OwnerId | None
) -> list[tuple[str, str]]:
    """Return the steps that a signal completes, or will when they begin: workflow and name.

    Those of any organization's workflows, or only of one's.
    """
    owner = None if organization_id is None else str(organization_id)
    given = {"event": event, "data": jsonb.dumps(data), "organization_id": owner}
    found = connection.execute(_LISTENING, given)
    return [(row[0], row[1]) for row in found]


def late(connection: Connection, *, limit: int) -> list[tuple[str, str]]:
    """Return steps whose time to wait is up: workflow and name."""
    return [(row[0], row[1]) for row in connection.execute(_LATE, {"limit": limit})]


def hear(connection: Connection, step: tuple[str, str], data: Mapping[str, Any] | None) -> bool:
    """Have a step hear a signal, or without data that its time is up; tell whether it did."""
    batch_id, name = step
    given = {
        "batch_id": batch_id,
        "name": name,
        "data": None if data is None else jsonb.dumps(data),
        "in_time": data is not None,
    }
    return bool(connection.execute(_HEAR, given).scalar_one())


def listen_again(connection: Connection, batch_id: str) -> int:
    """Have the steps that timed out, or were cancelled, wait once more; return how many did."""
    connection.execute(_LOCK, {"batch_id": batch_id})
    return int(connection.execute(_LISTEN_AGAIN, {"batch_id": batch_id}).scalar_one())


def stop_listening(connection: Connection, batch_id: str) -> None:
    """Have no step of a workflow wait any more, as it is called off."""
    connection.execute(_STOP_LISTENING, {"batch_id": batch_id})


def _row(step: Step) -> str:
    """Return a step as JSON; the messages' bodies are JSON already."""
    plain = {
        "name": step.name,
        "kind": "job" if step.event is None else "wait",
        "slot": step.slot,
        "after": list(step.after),
        "if_dead": step.if_dead,
        "event": step.event,
        "match": dict(step.match),
        "timeout": step.timeout,
    }
    jobs = {"job": step.job, "instead": step.instead}
    written = [f'"{name}":{columns_of(*job)}' for name, job in jobs.items() if job is not None]
    return ",".join([jsonb.dumps(plain)[:-1], *written]) + "}"
