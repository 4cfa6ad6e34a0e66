"""How far a job has come, as its row says."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .models import JobExecution, Status


@dataclass(frozen=True, slots=True)
class Progress:
    """What the handler last reported with `job.progress`.

    Attributes:
        percent: From 0 to 100; None where the handler gave no total. A completed job has 100,
            whatever it reported.
    """

    done: float
    total: float | None
    note: str | None
    percent: int | None

    @property
    def counts(self) -> str:
        """Such as `620/1,000`."""
        return f"{self.done:,}" if self.total is None else f"{self.done:,}/{self.total:,}"


def of(row: JobExecution) -> Progress | None:
    """Return a job's progress; None if its handler never told any."""
    if row.progress is None:
        return None
    done, total = row.progress["done"], row.progress["total"]
    percent = None if not total else min(100, max(0, int(100 * done / total)))
    if percent is not None and row.status == Status.COMPLETED:
        percent = 100
    return Progress(done, total, row.progress["note"], percent)


def began_at(row: JobExecution) -> datetime | None:
    """Return when the present run began: of a job with several legs, the first of them."""
    first = (
        [attempt for attempt in row.attempts if attempt.get("leg") == 1][-1:] if row.legs else []
    )
    if first and first[0].get("started_at"):
        return datetime.fromisoformat(first[0]["started_at"])
    return row.started_at


def elapsed(row: JobExecution) -> float | None:
    """Return the seconds from the run's beginning to its end or to now; None before it began."""
    began = began_at(row)
    if began is None:
        return None
    return max(0.0, ((row.completed_at or datetime.now(UTC)) - began).total_seconds())


def attempts_made(row: JobExecution) -> int:
    """Count the attempts, the one under way included."""
    last: dict[str, Any] = row.attempts[-1] if row.attempts else {}
    return int(last.get("number", 0)) + (row.status == Status.PROCESSING)
