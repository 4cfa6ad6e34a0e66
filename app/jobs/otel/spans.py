"""The spans of a job: enqueue (producer), publish (client) and process (consumer).

    POST /signup ── enqueue send-email ── publish send-email
                        └─ POST /api/jobs/email ── process send-email ── INSERT …

The header `traceparent` connects the second line to the first: the job keeps it among its options,
and QStash forwards it. The requests are spans of Flask's instrumentation, and the SQL is psycopg's;
where Flask is not instrumented, `process` itself goes on with the header.
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flask import has_request_context, request
from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer

from ..events import (
    Attempt,
    Delivered,
    Ended,
    Enqueueing,
    Event,
    Executing,
    JobPrepared,
    Message,
    Publishing,
    Started,
    Step,
)

if TYPE_CHECKING:
    from contextvars import Token


class Spans:
    """The observer that starts and ends the spans."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: dict[Step, tuple[Span, Token[Context]]] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Started(step):
                span = self._start(step)
                self._open[step] = span, context.attach(trace.set_span_in_context(span))
            case Ended(step):
                self._end(step)
            case JobPrepared(headers):
                propagate.inject(headers)
            case Delivered(_, outcome):
                trace.get_current_span().set_attribute("job.outcome", outcome)

    def _start(self, step: Step) -> Span:
        match step:
            case Enqueueing(job_type=job_type):
                about = _about(job_type, "create")
                return self._tracer.start_span(
                    f"enqueue {job_type}", kind=SpanKind.PRODUCER, attributes=about
                )
            case Executing(attempt=attempt):
                job_type = attempt.config.type
                return self._tracer.start_span(
                    f"process {job_type}",
                    context=_delivered_with(),
                    kind=SpanKind.CONSUMER,
                    attributes=_about(job_type, "process") | _about_attempt(attempt),
                )
            case Publishing(messages=messages):
                return self._start_publishing(messages)
        raise TypeError(step)

    def _start_publishing(self, messages: Sequence[Message]) -> Span:
        """Continue the trace that enqueued the job; a batch has several, which are linked."""
        first, alone = messages[0], len(messages) == 1
        links = [Link(trace.get_current_span(_origin(one)).get_span_context()) for one in messages]
        return self._tracer.start_span(
            f"publish {first.job_type}",
            context=_origin(first) if alone else None,
            kind=SpanKind.CLIENT,
            attributes={
                **_about(first.job_type, "send"),
                "messaging.batch.message_count": len(messages),
            },
            links=[] if alone else links,
        )

    def _end(self, step: Step) -> None:
        span, token = self._open.pop(step)
        context.detach(token)
        if step.error is not None:
            span.set_attribute("error.type", step.error)
            span.set_status(Status(StatusCode.ERROR, step.error))
        span.end()


def add_to_log_lines() -> None:
    """Add `trace_id` and `span_id` to every log line within a trace."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_bind)


def _bind(record: logging.LogRecord) -> bool:
    found = trace.get_current_span().get_span_context()
    if found.is_valid:
        record.trace_id = trace.format_trace_id(found.trace_id)
        record.span_id = trace.format_span_id(found.span_id)
    return True


def _delivered_with() -> Context | None:
    """Return the context that a delivery's headers name, where no request's span has it already."""
    is_traced = trace.get_current_span().get_span_context().is_valid
    return None if is_traced or not has_request_context() else propagate.extract(request.headers)


def _origin(message: Message) -> Context:
    """Return the context in which a job was enqueued, perhaps by another process."""
    return propagate.extract(dict(message.options.get("headers", {})))


def _about(job_type: str, operation: str) -> dict[str, str | int]:
    return {
        "messaging.system": "qstash",
        "messaging.operation.type": operation,
        "messaging.destination.name": job_type,
    }


def _about_attempt(attempt: Attempt) -> dict[str, str | int]:
    found: dict[str, str | int] = {"job.id": attempt.job_id, "job.attempt": attempt.lease.attempt}
    if attempt.delivery.message_id is not None:
        found["messaging.message.id"] = attempt.delivery.message_id
    if attempt.lease.batch_id is not None:
        found["job.batch.id"] = attempt.lease.batch_id
    return found
