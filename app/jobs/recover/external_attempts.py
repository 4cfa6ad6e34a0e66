"""How attempts ended that a worker elsewhere made: as QStash's callback or its log tells it.

QStash calls back after every attempt; the body is that of its failure callback, which
`given_up` reads (https://upstash.com/docs/qstash/features/callbacks).
"""

from base64 import b64decode
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy import Connection

from ..errors import InvalidDelivery, PermanentError
from ..outcome import RETRY_SOON
from ..payload.loading import checked_result
from ..publish import outbox
from ..registry import registry_of
from ..table import job_rows, message_sql
from ..table.db import in_transaction
from ..table.models import Status
from ..values import jsonb
from . import given_up
from .given_up import GivenUpMessage


@dataclass(frozen=True, slots=True)
class ExternalAttempt:
    """One attempt of a worker elsewhere.

    Attributes:
        letter: The message, as a report of QStash's tells it.
        status: The worker's answer; 0 for none.
        retried: How often QStash had tried before.
        result: The worker's JSON, if it answered an object.
    """

    letter: GivenUpMessage
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


def read_attempt(body: bytes, forward_to: str | None) -> ExternalAttempt:
    """Read the body of QStash's callback.

    Raises:
        InvalidDelivery: It is malformed, or its message is not a job of an external type.
    """
    letter = given_up.from_callback(body, forward_to)
    job_type = letter.row["job_type"]
    if job_type not in {one.type for one in registry_of(current_app) if one.is_external}:
        raise InvalidDelivery(f"{job_type!r} is not an external job type of this app")
    report = jsonb.loads(letter.report)
    status, retried = (_count(report, name) for name in ("status", "retried"))
    return ExternalAttempt(letter, status, retried, _answer(report.get("body")))


def record(connection: Connection, attempt: ExternalAttempt) -> float:
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
    waits = connection.execute(message_sql.IS_ABOUT_TO_BE_NOTED, job).scalar_one_or_none()
    if connection.execute(message_sql.END_ELSEWHERE, job | given).rowcount:
        return 0
    if waits is None:  # a schedule's firing, which is first seen now
        over = {"dead_at": None, "attempts": [kept]}
        if not attempt.is_success:
            over["completed_at"] = None
        job_rows.create_job_execution(connection, {**letter.row, **columns, **over})
    return RETRY_SOON if waits else 0


def was_delivered(message_id: str) -> bool:
    """Ask QStash's log whether a worker took a message; raises as `Publisher.publish` does."""
    found = outbox.publisher().call(
        lambda qstash: qstash.log.list(filter={"message_id": message_id})
    )
    return any(entry.state.value == "DELIVERED" for entry in found.logs)


def complete(job_id: str, message_id: str) -> bool:
    """Mark a job completed whose callback was lost; tell whether it still waited for that."""
    job = {"job_id": job_id, "message_id": message_id}
    return in_transaction(lambda tx: tx.execute(message_sql.COMPLETE_ELSEWHERE, job).rowcount) == 1


def _count(report: dict[str, Any], name: str) -> int:
    value = report.get(name, 0)
    if type(value) is not int or value < 0:
        raise InvalidDelivery(f"{name} is not a number", {name: ["Not a whole number."]})
    return value


def _answer(body: object) -> dict[str, Any] | None:
    try:
        return checked_result(jsonb.loads(b64decode(str(body or "")).decode()))
    except (ValueError, PermanentError):
        return None
