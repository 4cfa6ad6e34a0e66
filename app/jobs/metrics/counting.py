"""The observer that counts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flask import current_app

from ..events import (
    LABELS,
    Delivered,
    Ended,
    Enqueued,
    Event,
    Executing,
    Followed,
    JobDied,
    Message,
    SignatureFailed,
    Started,
    Unpublished,
    signers,
)
from ..registry import registry_of

if TYPE_CHECKING:
    from prometheus_client import Counter

#: Why QStash did not accept a job: for good, or for now.
REFUSED, UNAVAILABLE = "refused", "unavailable"

_STARTED = "jobs.metrics.started"
_serving = False


def start() -> None:
    """Start counting: this process serves requests, so it may be scraped.

    Commands are not scraped, so they need not load prometheus-client, which is slow.
    """
    global _serving  # noqa: PLW0603 - once set, and only ever to this
    if _STARTED not in current_app.extensions:
        _begin_at_zero()
        current_app.extensions[_STARTED] = True
        _serving = True


def _begin_at_zero() -> None:
    """Create every possible series.

    A series created by its first event starts at 1, so `increase()` is 0 and an alert would miss
    that event. https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics
    """
    from . import instruments  # noqa: PLC0415 - as said above

    for config in registry_of(current_app):
        for metric in instruments.BY_TYPE:
            metric.labels(config.type)
        for outcome in LABELS:
            instruments.DELIVERIES.labels(config.type, outcome)
        for reason in (REFUSED, UNAVAILABLE):
            instruments.PUBLISH_FAILURES.labels(config.type, reason)
    for signer in signers(current_app):
        instruments.SIGNATURE_FAILURES.labels(signer)


def count(event: Event) -> None:
    if not _serving:
        return
    from . import instruments  # noqa: PLC0415 - as said above

    match event:
        case Started(Executing() as step) | Ended(Executing() as step):
            _count_execution(step, has_ended=isinstance(event, Ended))
        case Delivered(job_type, outcome):
            instruments.DELIVERIES.labels(job_type, outcome).inc()
        case Enqueued(messages):
            _count_each(instruments.ENQUEUED, messages)
        case Followed(job_types):
            for job_type in job_types:
                instruments.ENQUEUED.labels(job_type).inc()
                instruments.FOLLOWUPS.labels(job_type).inc()
        case Unpublished(messages, refused):
            reason = REFUSED if refused else UNAVAILABLE
            _count_each(instruments.PUBLISH_FAILURES, messages, reason)
        case JobDied(job_type):
            instruments.DEAD.labels(job_type).inc()
        case SignatureFailed(source):
            instruments.SIGNATURE_FAILURES.labels(source).inc()


def _count_execution(step: Executing, *, has_ended: bool) -> None:
    from . import instruments  # noqa: PLC0415 - as above

    job_type, lease = step.attempt.config.type, step.attempt.lease
    instruments.IN_FLIGHT.labels(job_type).inc(-1 if has_ended else 1)
    if not has_ended:
        return
    instruments.EXECUTION_DURATION.labels(job_type).observe(step.seconds)
    if lease.retried:
        instruments.RETRIES.labels(job_type).inc()
    # A job that was recorded by its own delivery, as a schedule's are, did not wait here.
    if lease.attempt == 1 and lease.waited:
        instruments.WAITING_TIME.labels(job_type).observe(max(0.0, lease.waited))


def _count_each(counter: "Counter", messages: Sequence[Message], *labels: str) -> None:
    for message in messages:
        counter.labels(message.job_type, *labels).inc()
