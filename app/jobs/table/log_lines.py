"""What handlers logged, as the rows of their jobs keep it."""

from dataclasses import dataclass
from typing import Any

from .models import JobExecution


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """The newest lines of one attempt.

    Attributes:
        left_out: How many older ones there were.
        lines: Each has `at` (ISO 8601, UTC), `level`, `logger` and `message`; the oldest first.
    """

    attempt: int
    left_out: int
    lines: list[dict[str, str]]


def logs_of(row: JobExecution) -> list[AttemptLog]:
    """Return what is kept of a job's attempts, the oldest first; one more query."""
    found = row.logs if isinstance(row.logs, list) else []
    return [log for log in map(_log, found) if log is not None]


def _log(kept: Any) -> AttemptLog | None:
    """Read one attempt's; None for JSON of a shape that is not ours."""
    try:
        lines = [
            {name: str(line[name]) for name in ("at", "level", "logger", "message")}
            for line in kept["lines"]
        ]
        return AttemptLog(int(kept["attempt"]), int(kept["left_out"]), lines)
    except (KeyError, TypeError, ValueError):
        return None
