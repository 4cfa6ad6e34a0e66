"""How QStash is answered.

By its protocol: 2xx ends a message, 489 with `Upstash-NonRetryable-Error` sends it to the
dead-letter queue at once, anything else is retried
(https://upstash.com/docs/qstash/features/retry).
"""

from typing import Any

from flask import Response, current_app

from ..outcome import (
    RETRY_SOON,
    Cancelled,
    Completed,
    Continued,
    Failed,
    Lost,
    Outcome,
    Rescheduled,
)

#: What a delivery can come to: how the handler ended, or why it was not called.
OUTCOMES = (
    "completed",
    "continued",
    "rescheduled",
    "cancelled",
    "lost",
    "failed",
    "dead",
    "skipped",
    "refused",
    "busy",
)


BUSY = 503
#: A header of answers that say that the handler was not called.
NOT_RUN = "Jobs-Not-Run"


class Answer(Response):
    """What QStash is told, and one of `OUTCOMES`, which it is not."""

    outcome: str


def answer(job_id: str, outcome: Outcome) -> Answer:
    done: dict[str, Any]
    match outcome:
        case Completed(result):
            kind, done = "completed", {"jobId": job_id, "result": result}
        case Continued(legs=legs):
            kind, done = "continued", {"continued": legs}
        case Rescheduled(delay):
            kind, done = "rescheduled", {"rescheduled": delay}
        case Cancelled():
            kind, done = "cancelled", {"skipped": "cancelled"}
        case Lost():
            return busy("another delivery took this job over", outcome="lost", counts=True)
        case Failed(permanent=True):
            return refuse(outcome.kind, outcome="dead", jobId=job_id)
        case Failed():
            return _try_again(job_id, outcome)
    return _success(kind, **done)


def skipped(why: str) -> Answer:
    return _success("skipped", skipped=why)


def refuse(error: str, *, outcome: str = "refused", **details: Any) -> Answer:
    """Tell QStash that no retry can help."""
    response = _answer(outcome, 489, error=error, **details)
    response.headers["Upstash-NonRetryable-Error"] = "true"
    return response


def busy(
    reason: str, retry_after: float = RETRY_SOON, *, outcome: str = "busy", counts: bool = False
) -> Answer:
    """Tell QStash to try again in `retry_after` seconds.

    Nothing was done, so it is no attempt of the job's: should QStash give up on that, the job is
    published anew, unless it `counts`.
    """
    response = _answer(outcome, BUSY, error=reason)
    if not counts:
        response.headers[NOT_RUN] = "true"
    response.headers["Retry-After"] = str(max(1, round(retry_after + 0.5)))
    return response


def _try_again(job_id: str, failed: Failed) -> Answer:
    response = _answer("dead" if failed.dead else "failed", 500, error=failed.kind, jobId=job_id)
    if failed.retry_after is not None:
        response.headers["Retry-After"] = str(max(0, round(failed.retry_after)))
    return response


def _success(outcome: str, **body: Any) -> Answer:
    return _answer(outcome, 200, success=True, **body)


def _answer(outcome: str, status: int, **body: Any) -> Answer:
    text = current_app.json.dumps(body, separators=(",", ":"))
    response = Answer(text, status, mimetype="application/json")
    response.outcome = outcome
    return response
