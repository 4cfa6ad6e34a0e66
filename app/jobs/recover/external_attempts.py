"""How attempts ended that a worker elsewhere made: as QStash's callback or its log tells it.

QStash calls back after every attempt; the body is that of its failure callback, which
`dead_letters` reads (https://upstash.com/docs/qstash/features/callbacks).
"""

from base64 import b64decode
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy import Connection, text

from ..errors import InvalidDelivery, PermanentError
from ..outcome import RETRY_SOON
from ..payload.loading import checked_result
from ..publish import outbox
from ..registry import registry_of
from ..table import job_rows
from ..table.attempt_sql import KEPT_ATTEMPTS
from ..table.models import Status
from ..table.transactions import in_transaction
from ..values import jsonb
from . import given_up
from .given_up import DeadLetter

# Only for the message that the row waits for, each attempt once, and none after a later one.
_END = text(
    f"""
    UPDATE job_executions
       SET status = :status, result = CAST(:result AS jsonb), error = :error, dead_at = NULL,
           retry_count = :retried, message_id = :message_id, updated_at = now(),
           started_at = coalesce(started_at, now()), published_at = coalesce(published_at, now()),
           completed_at = CASE WHEN :status = 'completed' THEN now() END,
           attempts = CASE WHEN jsonb_array_length(attempts) < {KEPT_ATTEMPTS} THEN attempts
                           ELSE attempts - 0 END || CAST(:attempt AS jsonb)
     WHERE job_id = :job_id AND job_type = :job_type AND status IN ('pending', 'failed')
       AND (:status = 'completed' OR dead_at IS NULL AND retry_count <= :retried)
       AND (message_id = :message_id OR :status = 'completed' AND dead_at IS NOT NULL
            OR message_id IS NULL AND generation = 0 AND reschedules = 0)
       AND NOT attempts @> jsonb_build_array(jsonb_build_object(
               'message_id', CAST(:message_id AS text), 'retried', CAST(:retried AS int)))
    """  # noqa: S608 - the only values in the text are this package's numbers
)

# Locks the row: noted between this and `_END`, an attempt would be neither recorded nor put off.
_IS_ABOUT_TO_BE_NOTED = text(
    """
    SELECT status = 'pending' AND message_id IS NULL FROM job_executions
     WHERE job_id = :job_id AND job_type = :job_type
       FOR UPDATE
    """
)

_COMPLETE = text(
    """
    UPDATE job_executions
       SET status = 'completed', error = NULL, dead_at = NULL, completed_at = now(),
           updated_at = now()
     WHERE job_id = :job_id AND message_id = :message_id AND status IN ('pending', 'failed')
    """
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a worker elsewhere.

    Attributes:
        letter: The message, as a report of QStash's tells it.
        status: The worker's answer; 0 for none.
        retried: How often QStash had tried before.
        result: The worker's JSON, if it answered an object.
    """

    letter: DeadLetter
    status: int
    retried: int
    result: dict[str, Any] | None

    @property
    def is_success(self) -> bool:
        return self.status // 100 == 2  # noqa: PLR2004 - HTTP's class of successes

    @property
    def log_fields(self) -> dict[str, Any]:
        said = {"status": self.status, "attempt": self.retried + 1}
        return said | ({"error": None} if self.is_success else {})

    @property
    def columns(self) -> dict[str, Any]:
        """What the row tells of it."""
        answer = (
            f"its worker answered {self.status}" if self.status else "its worker did not answer"
        )
        return {
            "status": Status.COMPLETED if self.is_success else Status.FAILED,
            "result": self.result if self.is_success else None,
            "error": None if self.is_success else answer,
            "retry_count": self.retried,
        }


def read(body: bytes, forward_to: str | None) -> Attempt:
    """Read the body of QStash's callback.

    Raises:
        InvalidDelivery: It is none, or its message is no job of a type whose worker is elsewhere.
    """
    letter = given_up.from_callback(body, forward_to)
    job_type = letter.row["job_type"]
    if job_type not in {one.type for one in registry_of(current_app) if one.is_external}:
        raise InvalidDelivery(f"{job_type!r} is no job type of this app whose worker is elsewhere")
    report = jsonb.loads(letter.report)
    status, retried = (_count(report, name) for name in ("status", "retried"))
    return Attempt(letter, status, retried, _answer(report.get("body")))


def record(connection: Connection, attempt: Attempt) -> float:
    """Note how it ended; return for how many seconds to wait, where that cannot be told yet."""
    letter = attempt.letter
    job = {"job_id": letter.job_id, "job_type": letter.row["job_type"]}
    kept = {
        "number": attempt.retried + 1,
        "retried": attempt.retried,
        "message_id": letter.message_id,
        "outcome": "completed" if attempt.is_success else "failed",
        "status": attempt.status,
        **({} if attempt.is_success else {"kind": "ExternalError", "error": letter.error}),
    }
    columns = attempt.columns
    given = {
        "status": str(columns["status"]),
        "error": columns["error"],
        "result": None if columns["result"] is None else jsonb.dumps(columns["result"]),
        "retried": attempt.retried,
        "message_id": letter.message_id,
        "attempt": jsonb.dumps(kept),
    }
    waits = connection.execute(_IS_ABOUT_TO_BE_NOTED, job).scalar_one_or_none()
    if connection.execute(_END, job | given).rowcount:
        return 0
    if waits is None:  # a schedule's firing, which is first seen now
        over = {"dead_at": None, "attempts": [kept]}
        if not attempt.is_success:
            over["completed_at"] = None
        job_rows.create_job_execution(connection, {**letter.row, **columns, **over})
    return RETRY_SOON if waits else 0


def was_delivered(message_id: str) -> bool:
    """Ask QStash's log whether a worker took a message; raises as `Publisher.publish` does."""
    found = outbox.publisher().ask(
        lambda qstash: qstash.log.list(filter={"message_id": message_id})
    )
    return any(entry.state.value == "DELIVERED" for entry in found.logs)


def complete(job_id: str, message_id: str) -> bool:
    """Mark a job completed whose callback was lost; tell whether it still waited for that."""
    job = {"job_id": job_id, "message_id": message_id}
    return in_transaction(lambda tx: tx.execute(_COMPLETE, job).rowcount) == 1


def _count(report: dict[str, Any], name: str) -> int:
    value = report.get(name, 0)
    if type(value) is not int or value < 0:
        raise InvalidDelivery(f"{name} is no number", {name: ["Not a whole number."]})
    return value


def _answer(body: object) -> dict[str, Any] | None:
    try:
        return checked_result(jsonb.loads(b64decode(str(body or "")).decode()))
    except (ValueError, PermanentError):
        return None
