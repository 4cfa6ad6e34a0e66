"""What happened to a job and when: as a list, and as a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..jobs import JobExecution, Status
from ..jobs.kit import durations
from ..jobs.operate import attempts_made

#: The picture's size, in its own units.
WIDTH, BAR = 1000, 26
#: A bar is at least this wide, so that it can be seen and pointed at.
NARROWEST = 4


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a moment; `kind` is a class of the stylesheet."""

    at: datetime
    said: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which a job waited or ran; `kind` is "wait" or an attempt's outcome."""

    start: datetime
    end: datetime
    said: str
    kind: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A span as a bar of the picture."""

    x: float
    width: float
    span: Span


def events_of(row: JobExecution, actions: Sequence[Any], *, tells_others: bool) -> list[Event]:
    """Return what happened, the oldest first.

    Args:
        row: The job.
        actions: Its lines in the audit.
        tells_others: Also to how many jobs else an action was done, whosever they are.
    """
    found = _events(row, actions, tells_others=tells_others)
    return sorted(found, key=lambda event: event.at)


def spans_of(row: JobExecution, actions: Sequence[Any] = ()) -> list[Span]:
    """Return when it waited and when it ran, in order; the last one ends now if it is under way.

    Between its death, or its cancellation, and a retry by hand it did neither.

    Args:
        row: The job.
        actions: Its lines in the audit.
    """
    runs = [_run(attempt) for attempt in row.attempts if attempt.get("started_at")]
    now = datetime.now(UTC)
    if row.status == Status.PROCESSING and row.started_at:
        said = f"attempt {attempts_made(row)}, still running"
        runs.append(Span(row.started_at, now, said, "processing"))
    retries = [one.created_at for one in actions if one.action == "retry"]
    spans, at = [], row.created_at
    for run in runs:
        spans += _between(at, run.start, retries)
        spans.append(run)
        at = max(at, run.end)
    if row.status != Status.PROCESSING:
        spans += _between(at, row.completed_at or now, retries)
    return spans


def _between(start: datetime, end: datetime, retries: Sequence[datetime]) -> list[Span]:
    """Return what a job did that did not run: it had ended until a retry, and then waited."""
    if end <= start:
        return []
    retry = max((at for at in retries if start < at < end), default=None)
    if retry is None:
        return [Span(start, end, _waited(start, end), "wait")]
    over = f"had ended, for {durations.in_words((retry - start).total_seconds())}"
    return [Span(start, retry, over, "over"), Span(retry, end, _waited(retry, end), "wait")]


def bars_of(spans: Sequence[Span]) -> list[Bar]:
    """Return the spans as bars of a picture that is `WIDTH` wide."""
    if not spans:
        return []
    start = spans[0].start
    whole = max((spans[-1].end - start).total_seconds(), 0.001)
    bars = []
    for span in spans:
        x = (span.start - start).total_seconds() / whole * WIDTH
        width = (span.end - span.start).total_seconds() / whole * WIDTH
        if span.kind == "wait" and width < NARROWEST:  # it would hide the end of a run
            continue
        width = max(NARROWEST, width)
        bars.append(Bar(round(min(x, WIDTH - NARROWEST), 1), round(width, 1), span))
    return bars


def _run(attempt: dict[str, Any]) -> Span:
    start = datetime.fromisoformat(attempt["started_at"])
    seconds = attempt.get("duration_ms", 0) / 1000
    ran = f" after {durations.in_words(seconds)}" if "duration_ms" in attempt else ""
    said = f"attempt {attempt['number']}: {attempt.get('outcome', 'unknown')}{ran}"
    return Span(start, start + timedelta(seconds=seconds), said, attempt.get("outcome", "unknown"))


def _waited(start: datetime, end: datetime) -> str:
    return f"waited {durations.in_words((end - start).total_seconds())}"


def _events(row: JobExecution, actions: Sequence[Any], *, tells_others: bool) -> Iterator[Event]:
    yield Event(row.created_at, "Enqueued")
    if row.available_at:
        yield Event(row.available_at, "Due")
    if row.published_at:
        yield Event(row.published_at, "Published to QStash")
    for attempt in row.attempts:
        if attempt.get("started_at"):
            run = _run(attempt)
            yield Event(run.end, run.said.capitalize(), run.kind)
    if row.status == Status.PROCESSING and row.started_at:
        yield Event(row.started_at, f"Attempt {attempts_made(row)} started", "processing")
    for action in actions:
        among = (
            f", as one of {action.job_count:,} jobs"
            if action.job_count > 1 and tells_others
            else ""
        )
        done = _DONE.get(action.action, action.action.capitalize())
        yield Event(action.created_at, f"{done} by {action.actor}{among}", "person")
    if row.cancelled_at:
        asked = "Asked to stop" if row.status == Status.PROCESSING else "Cancelled"
        yield Event(row.cancelled_at, asked, "cancelled")
    elif row.completed_at:
        kind = "dead" if row.dead_at else "completed"
        yield Event(row.completed_at, "Dead" if row.dead_at else "Completed", kind)


_DONE = {
    "retry": "Retried",
    "cancel": "Cancelled",
    "delete": "Deleted",
    "move": "Moved",
    "enqueue": "Enqueued",
    "schedule run": "Run",
    "webhook replay": "Replayed",
}
