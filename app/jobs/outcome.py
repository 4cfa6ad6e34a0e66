"""The outcomes of a delivery: each class names everything that follows from it.

That is the one statement that records it, its log line, its answer to QStash and its label in the
metrics. By QStash's protocol 2xx ends a message, 489 with `Upstash-NonRetryable-Error` sends it to
the dead-letter queue at once, and anything else is retried
(https://upstash.com/docs/qstash/features/retry).
"""

import logging
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple

from flask import Response, current_app
from sqlalchemy import TextClause

from .errors import Continue, RetryLater
from .table import attempt_sql
from .table.attempts import Attempt, Execute, encoded
from .table.models import Status

#: Seconds after which QStash should retry a delivery that could not be handled just now.
RETRY_SOON = 5
NOT_PUBLISHED = "the next leg is not published yet"
NEVER_AGAIN = 489
NON_RETRYABLE = {"Upstash-NonRetryable-Error": "true"}
BUSY = 503
#: A header of answers when the handler was not called.
NOT_RUN = "Jobs-Not-Run"

#: The labels of all outcomes.
LABELS: dict[str, None] = {}


class Answer(NamedTuple):
    """The answer to QStash."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a delivery.

    Attributes:
        label: What metrics and traces call it.
        event: Its log line, if it has one, with what the attributes in `logged` say.
        statement: What records it, with its attributes, and returns the row, if the lease is still
            ours.
        kept: The attributes that the attempt on the row keeps.
        kept_as: What it is called there, if not by its label.
        keeps_work: The statement commits together with what the handler did in `db.session`, which
            is rolled back otherwise.
        puts_back: The job is pending again, and the row tells the message to publish.
        names_job: The answer says which job it was.
    """

    label: ClassVar[str]
    event: ClassVar[str | None] = None
    level: ClassVar[int] = logging.INFO
    logged: ClassVar[tuple[str, ...]] = ()
    statement: ClassVar[TextClause | None] = None
    kept: ClassVar[tuple[str, ...]] = ()
    kept_as: ClassVar[str | None] = None
    keeps_work: ClassVar[bool] = False
    puts_back: ClassVar[bool] = False
    names_job: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        LABELS[cls.label] = None

    def answer(self) -> Answer:
        raise NotImplementedError

    @property
    def log_fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.logged}

    def allowed(self, attempt: Attempt) -> "Outcome":  # noqa: ARG002 - for those that override it
        """Return this outcome, or the one that it is for a job of this kind and history."""
        return self

    def record(self, execute: Execute, attempt: Attempt) -> Any:
        """Write it to the job's row.

        Returns:
            What the statement returns of the row; None if the lease is no longer ours.
        """
        if self.statement is None:
            return None
        given = {
            "job_id": attempt.job_id,
            "token": attempt.lease.token,
            "message_id": attempt.delivery.message_id,
            "retries": attempt.config.retries,
            **attempt.unwritten,
            "attempt": attempt.kept(
                self.kept_as or self.label,
                self.answer().status,
                {name: getattr(self, name) for name in self.kept},
            ),
        }
        for one in fields(self):
            value = getattr(self, one.name)
            given[one.name] = encoded(value) if isinstance(value, dict) else value
        sql = self.statement if attempt.logged is None else attempt_sql.with_logs(self.statement)
        return execute(sql, given)

    def recorded(self, row: Any) -> "Outcome":
        """Return what it came to, by what the statement returned of the row."""
        return Cancelled() if self.puts_back and row.status == Status.CANCELLED else self

    def unpublished(self, attempt: Attempt) -> "Outcome":
        """Return what it is where QStash does not take the message that puts the job back."""
        raise NotImplementedError

    def response(self, attempt: Attempt | None = None) -> Response:
        status, body, headers = self.answer()
        if attempt is not None and self.names_job:
            body["jobId"] = attempt.job_id
        text = current_app.json.dumps(body, separators=(",", ":"))
        return Response(text, status, headers, mimetype="application/json")


@dataclass(frozen=True, slots=True)
class Completed(Outcome):
    """The handler returned; `result` is JSON-able and small enough to be stored."""

    label = "completed"
    event = "[jobs] Job processed successfully"
    statement = attempt_sql.COMPLETE
    keeps_work = True
    names_job = True

    result: dict[str, Any] | None

    def answer(self) -> Answer:
        return Answer(200, {"success": True, "result": self.result})

    def allowed(self, attempt: Attempt) -> Outcome:
        return Forgotten(None) if attempt.may_be_forgotten and not self.result else self


class Forgotten(Completed):
    """The handler of a schedule's firing found nothing to do, so no row is left of it."""

    event = "[jobs] Job found nothing to do"
    statement = attempt_sql.FORGET


@dataclass(frozen=True, slots=True)
class Failed(Outcome):
    """The handler raised.

    Attributes:
        kind: The exception's class; QStash learns nothing else.
        permanent: No further attempt can help.
        retry_after: Seconds after which QStash should try again, where the error knows.
        exception: What was raised, for logs and error trackers; see `failures.describe`.
    """

    label = "failed"
    event = "[jobs] Job processing failed"
    level = logging.WARNING
    statement = attempt_sql.FAIL
    kept = ("kind", "error", "traceback")
    names_job = True

    kind: str
    error: str
    traceback: str = ""
    permanent: bool = False
    retry_after: float | None = None
    exception: BaseException | None = field(default=None, repr=False, compare=False)

    def answer(self) -> Answer:
        body = {"error": self.kind}
        if self.permanent:
            return Answer(NEVER_AGAIN, body, NON_RETRYABLE)
        if self.retry_after is None:
            return Answer(500, body)
        return Answer(500, body, {"Retry-After": str(max(0, round(self.retry_after)))})

    @property
    def log_fields(self) -> dict[str, Any]:
        return {"error": self.error, "dead": isinstance(self, Dead)}

    def recorded(self, row: Any) -> Outcome:
        if not row.was_last:
            return self
        return Dead(*(getattr(self, one.name) for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Dead(Failed):
    """The handler raised, and there are no more attempts: it was the last, or none can help."""

    label = "dead"
    level = logging.ERROR


@dataclass(frozen=True, slots=True)
class Continued(Outcome):
    """The handler did a part, and continues from `state` in another delivery."""

    label = "continued"
    event = "[jobs] Job continues"
    logged = ("legs",)
    statement = attempt_sql.CONTINUE
    keeps_work = puts_back = True

    state: dict[str, Any]
    legs: int

    def answer(self) -> Answer:
        return Answer(200, {"success": True, "continued": self.legs})

    def allowed(self, attempt: Attempt) -> Outcome:  # noqa: ARG002 - as its base has it
        return self if self.legs < current_app.config["JOBS_MAX_LEGS"] else self.too_many()

    def too_many(self) -> Failed:
        said = f"asked to continue after leg {self.legs}, and JOBS_MAX_LEGS allows no more"
        return Failed(Continue.__name__, said, permanent=True)

    def unpublished(self, attempt: Attempt) -> Outcome:
        # This message is done, so its retries can be used to publish again.
        if attempt.lease.is_last:
            return self
        return Failed(Continue.__name__, NOT_PUBLISHED, retry_after=RETRY_SOON)


@dataclass(frozen=True, slots=True)
class Rescheduled(Outcome):
    """The handler asked to run again after `delay` seconds."""

    label = "rescheduled"
    event = "[jobs] Job rescheduled"
    statement = attempt_sql.RESCHEDULE
    kept = ("error",)
    puts_back = True

    delay: float
    error: str

    def answer(self) -> Answer:
        return Answer(200, {"success": True, "rescheduled": self.delay})

    @property
    def log_fields(self) -> dict[str, Any]:
        return {"delay": self.delay, "reason": self.error}

    def allowed(self, attempt: Attempt) -> Outcome:
        """Stop a job that reschedules itself for ever."""
        times = attempt.lease.reschedules
        if times < current_app.config["JOBS_MAX_RESCHEDULES"]:
            return self
        said = f"asked to run later for the {times + 1}th time, which is too often: {self.error}"
        return Failed(RetryLater.__name__, said, permanent=True)

    def unpublished(self, attempt: Attempt) -> Outcome:  # noqa: ARG002 - as its base has it
        return Failed(RetryLater.__name__, self.error, retry_after=self.delay)


@dataclass(frozen=True, slots=True)
class Released(Rescheduled):
    """The process had to release the job; it costs no retry."""

    kept_as = "released"

    delay: float = RETRY_SOON
    error: str = "the process was told to stop before the handler was called"

    def allowed(self, attempt: Attempt) -> Outcome:  # noqa: ARG002 - as above
        return self


@dataclass(frozen=True, slots=True)
class Cancelled(Outcome):
    """The job was cancelled, so its handler stopped."""

    label = "cancelled"
    event = "[jobs] Job cancelled"
    statement = attempt_sql.CANCEL
    kept = ("error",)

    error: str = "cancelled while it ran"

    def answer(self) -> Answer:
        return Answer(200, {"success": True, "skipped": "cancelled"})


@dataclass(frozen=True, slots=True)
class Skipped(Outcome):
    """There is nothing to execute, according to the status of the job or the message."""

    label = "skipped"
    event = "[jobs] Delivery skipped"
    logged: ClassVar[tuple[str, ...]] = ("status",)

    status: str

    def answer(self) -> Answer:
        return Answer(200, {"success": True, "skipped": self.status})


@dataclass(frozen=True, slots=True)
class Refused(Outcome):
    """The delivery can never be executed, so that no retry can help."""

    label = "refused"

    error: str
    errors: Any = None

    def answer(self) -> Answer:
        errors = {} if self.errors is None else {"errors": self.errors}
        return Answer(NEVER_AGAIN, {"error": self.error, **errors}, NON_RETRYABLE)


@dataclass(frozen=True, slots=True)
class Busy(Outcome):
    """It could not be executed just now: QStash retries in `retry_after` seconds.

    Nothing was done, so it is no attempt of the job's: should QStash give up on that, the job is
    published again, unless it `counts`.
    """

    label = "busy"

    reason: str
    retry_after: float = RETRY_SOON
    counts: bool = False

    def answer(self) -> Answer:
        not_run = {} if self.counts else {NOT_RUN: "true"}
        headers = {**not_run, "Retry-After": str(max(1, round(self.retry_after + 0.5)))}
        return Answer(BUSY, {"error": self.reason}, headers)


@dataclass(frozen=True, slots=True)
class Lost(Busy):
    """Another delivery took over the job; the handler's work is discarded."""

    label = "lost"
    event = "[jobs] Lease lost, result discarded"
    level = logging.WARNING

    reason: str = "another delivery took this job over"
    counts: bool = True
