"""A running job as one line of a terminal: bar, counts, time, pace and what is left."""

from ..table import progress
from ..table.models import JobExecution
from ..table.progress import Progress
from . import formatting

CELLS = 20
#: Columns below which the line has no room for a bar.
NARROW = 60

FULL, EMPTY = "█", "░"
PLAIN_FULL, PLAIN_EMPTY = "#", "-"


def line_of(row: JobExecution) -> str:
    """Describe a job in one line, for where nothing can be redrawn."""
    found = progress.of(row)
    parts = [f"{row.job_type}: {formatting.state(row)}", f"attempts {progress.attempts_made(row)}"]
    parts += [f"leg {row.legs + 1}"] if row.legs else []
    if found:
        parts += [] if found.percent is None else [f"{found.percent} %"]
        parts += [found.counts, *_note(found)]
    parts += [" ".join(row.error.split())] if row.error else []
    return "  ".join(parts)


class Bar:
    """Redraws a job as it changes, and derives its pace from the changes."""

    def __init__(self, *, plain: bool = False) -> None:
        self._cells = (PLAIN_FULL, PLAIN_EMPTY) if plain else (FULL, EMPTY)
        #: The first and the last step that were seen: when, and how much was done.
        self._first: tuple[float, float] | None = None
        self._last = (0.0, 0.0)

    def draw(self, row: JobExecution, *, columns: int, now: float) -> str:
        """Return the line, cut to the terminal's width.

        Args:
            row: The job as it is.
            columns: The terminal's.
            now: Seconds, on a clock that does not jump.
        """
        found, seconds = progress.of(row), progress.elapsed(row)
        parts = [row.job_type, formatting.state(row), *_counted(row)]
        if found:
            if found.percent is not None and columns >= NARROW:
                parts.append(self._bar(found.percent))
            parts += [] if found.percent is None else [f"{found.percent:>3} %"]
            parts.append(found.counts)
        parts += [] if seconds is None else [_clock(seconds)]
        if found:
            parts += [] if row.is_final else self._pace(found, now)
            parts += _note(found)
        if row.error and not row.is_final:
            parts.append(" ".join(row.error.split()))
        line = "  ".join(parts)
        return line if len(line) < columns else f"{line[: columns - 2]}…"

    def _bar(self, percent: int) -> str:
        full = CELLS * percent // 100
        return self._cells[0] * full + self._cells[1] * (CELLS - full)

    def _pace(self, found: Progress, now: float) -> list[str]:
        """Return the rate per second and the time that is left.

        Progress comes in steps, so the rate is measured from step to step.
        """
        if self._first is None or found.done < self._last[1]:
            self._first = self._last = (now, found.done)
        if found.done > self._last[1]:
            self._last = (now, found.done)
        since, done = self._last[0] - self._first[0], self._last[1] - self._first[1]
        if since <= 0 or done <= 0:
            return []
        rate = done / since
        said = [f"{rate:,.1f}/s" if rate < 100 else f"{rate:,.0f}/s"]  # noqa: PLR2004 - three digits say enough
        if found.total is not None and found.total > found.done:
            left = (found.total - found.done) / rate - (now - self._last[0])
            said.append(f"{_clock(max(0.0, left))} left")
        return said


def _counted(row: JobExecution) -> list[str]:
    """Name the leg, or the attempt, if it is not the first."""
    if row.legs:
        return [f"leg {row.legs + 1}"]
    attempts = progress.attempts_made(row)
    return [f"attempt {attempts}"] if attempts > 1 else []


def _note(found: Progress) -> list[str]:
    return [" ".join(found.note.split())] if found.note else []


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
