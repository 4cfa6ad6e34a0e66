"""Sentry: its Queues page from spans, its Crons page from schedules, and which job an issue is of.

The issues themselves are `FlaskIntegration`'s, as of any request: a handler's failure is sent as
Flask's signal `got_request_exception`.
https://docs.sentry.io/platforms/python/tracing/instrumentation/custom-instrumentation/queues-module
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from flask import Flask, g, request

from .events import (
    Attempt,
    Delivered,
    Ended,
    Event,
    Executing,
    JobPrepared,
    Message,
    Publishing,
    Started,
    Step,
    observe,
)

try:
    import sentry_sdk
    from sentry_sdk.crons import capture_checkin
except ImportError as error:
    said = "the extra `sentry` is missing: pip install 'flask-qstash-jobs[sentry]'"
    raise ImportError(said) from error

__all__ = ["init_app"]

#: A monitor's slug may be no longer.
_LONGEST_SLUG = 50
_ZONED = re.compile(r"(?:CRON_)?TZ=(\S+) (.*)")
#: What a firing's check-in says at last; any other outcome has another delivery follow.
_CHECK_IN = {"completed": "ok", "dead": "error", "cancelled": "error"}
_ATTEMPT = "jobs_sentry_attempt"


def init_app(app: Flask) -> None:
    """Tell Sentry of this app's jobs from now on; call it after `Jobs.init_app`.

    Sentry itself is set up by `sentry_sdk.init`, with `traces_sample_rate` for the Queues page.
    """
    observe(app, _Observer())


class _Observer:
    """Opens a span at a step's beginning, and closes it at its end."""

    def __init__(self) -> None:
        self._open: dict[Step, tuple[ExitStack, list[Any]]] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case JobPrepared(headers):
                for name, value in _trace_headers():
                    headers.setdefault(name, value)
            case Started(Publishing(messages=messages) as step):
                stack = ExitStack()
                self._open[step] = stack, [_publishing(stack, one) for one in messages]
            case Started(Executing(attempt=attempt) as step):
                stack = ExitStack()
                self._open[step] = stack, [_executing(stack, attempt)]
            case Ended(step) if step in self._open:
                self._end(step)
            case Delivered(outcome=outcome) if _ATTEMPT in g:
                _check_in(g.pop(_ATTEMPT), outcome)

    def _end(self, step: Step) -> None:
        stack, spans = self._open.pop(step)
        for span in spans:
            span.set_status("ok" if step.error is None else "internal_error")
        stack.close()


def _trace_headers() -> Iterator[tuple[str, str]]:
    """Yield what a job's deliveries go on with the present trace by."""
    found = {"sentry-trace": sentry_sdk.get_traceparent(), "baggage": sentry_sdk.get_baggage()}
    return ((name, value) for name, value in found.items() if value)


def _publishing(stack: ExitStack, message: Message) -> Any:
    """Begin to publish; outside of any trace, in the one in which the job was enqueued."""
    name, op = f"publish {message.job_type}", "queue.publish"
    if sentry_sdk.get_current_span() is None:
        origin = dict(message.options.get("headers", {}))
        going_on = sentry_sdk.continue_trace(origin, op=op, name=name, source="task")
        span = stack.enter_context(sentry_sdk.start_transaction(going_on))
    else:
        span = stack.enter_context(sentry_sdk.start_span(op=op, name=name))
    _describe(span, message.job_id, message.job_type, len(message.body.encode()))
    return span


def _executing(stack: ExitStack, attempt: Attempt) -> Any:
    job_type, delivery, lease = attempt.config.type, attempt.delivery, attempt.lease
    scope = sentry_sdk.get_isolation_scope()
    scope.set_tag("job.type", job_type)
    about = {"id": attempt.job_id, "type": job_type, "attempt": lease.attempt, "leg": lease.leg}
    scope.set_context("job", about)
    span = stack.enter_context(
        sentry_sdk.start_span(op="queue.process", name=f"process {job_type}")
    )
    _describe(span, attempt.job_id, job_type, request.content_length or 0)
    span.set_data("messaging.message.retry.count", delivery.retried)
    span.set_data("messaging.message.receive.latency", round(lease.waited * 1000))
    if delivery.is_firing:
        setattr(g, _ATTEMPT, attempt)
        _check_in(attempt, "began")
    return span


def _describe(span: Any, job_id: str, job_type: str, size: int) -> None:
    span.set_data("messaging.system", "qstash")
    span.set_data("messaging.message.id", job_id)
    span.set_data("messaging.destination.name", job_type)
    span.set_data("messaging.message.body.size", size)


def _check_in(attempt: Attempt, outcome: str) -> None:
    """Check a schedule's firing in: once it began, and when nothing of it will follow."""
    status = "in_progress" if outcome == "began" else _CHECK_IN.get(outcome)
    if status is None:
        return
    took = attempt.duration_ms
    capture_checkin(
        monitor_slug=_slug(attempt.delivery.schedule_id or attempt.config.type),
        check_in_id=uuid5(NAMESPACE_URL, attempt.job_id).hex,
        status=status,
        duration=None if took is None or status == "in_progress" else took / 1000,
        monitor_config=_monitor(attempt.delivery.envelope.get("metadata") or {}),
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower())[-_LONGEST_SLUG:].strip("-")


def _monitor(metadata: Mapping[str, Any]) -> Any:
    """Return what Sentry makes the monitor of, where the delivery says when it is due."""
    cron = metadata.get("cron")
    if not isinstance(cron, str):
        return None
    zoned = _ZONED.fullmatch(cron)
    timezone, value = zoned.groups() if zoned else ("UTC", cron)
    return {"schedule": {"type": "crontab", "value": value}, "timezone": timezone}
