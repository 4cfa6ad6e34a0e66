"""How QStash is answered.

By its protocol: 2xx ends a message, 489 with `Upstash-NonRetryable-Error` sends it to the
dead-letter queue at once, anything else is retried
(https://upstash.com/docs/qstash/features/retry).
"""

from typing import Any

from flask import Response, jsonify

from app.jobs.outcome import (
    RETRY_SOON,
    Cancelled,
    Completed,
    Continued,
    Failed,
    Lost,
    Outcome,
    Rescheduled,
)


def answer(job_id: str, outcome: Outcome) -> Response:
    match outcome:
        case Completed(result):
            done: dict[str, Any] = {"jobId": job_id, "result": result}
        case Continued(legs=legs):
            done = {"continued": legs}
        case Rescheduled(delay):
            done = {"rescheduled": delay}
        case Cancelled():
            done = {"skipped": "cancelled"}
        case Lost():
            return busy("another delivery took this job over")
        case Failed(permanent=True):
            return refuse(outcome.kind, job_id=job_id)
        case Failed():
            return _try_again(job_id, outcome)
    return jsonify(success=True, **done)


def _try_again(job_id: str, outcome: Failed) -> Response:
    response = jsonify(error=outcome.kind, jobId=job_id)
    response.status_code = 500
    if outcome.retry_after is not None:
        response.headers["Retry-After"] = str(max(0, round(outcome.retry_after)))
    return response


def skipped(why: str) -> Response:
    return jsonify(success=True, skipped=why)


def refuse(error: str, **details: Any) -> Response:
    """Tell QStash that no retry can help."""
    response = jsonify(error=error, **details)
    response.status_code = 489
    response.headers["Upstash-NonRetryable-Error"] = "true"
    return response


def busy(reason: str, retry_after: float = RETRY_SOON) -> Response:
    """Tell QStash to try again in `retry_after` seconds; nothing was started."""
    response = jsonify(error=reason)
    response.status_code = 503
    response.headers["Retry-After"] = str(max(1, round(retry_after + 0.5)))
    return response
