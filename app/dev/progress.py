"""A live table of jobs: redrawn in a terminal, elsewhere a line for each change."""

from collections.abc import Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from typing import TextIO

from app.dev.console import is_colourful

HEAD = ("JOB", "TYPE", "STATUS", "ATTEMPTS", "DURATION")
GREEN, RED, YELLOW, DIM = 32, 31, 33, 2
BAR_WIDTH = 30


@dataclass(frozen=True)
class Line:
    """The state of a job; `as_expected` is None until it has ended."""

    label: str
    type: str
    status: str
    attempts: int
    seconds: float
    as_expected: bool | None

    def cells(self) -> tuple[str, ...]:
        duration = f"{self.seconds:.2f} s"
        return (self.label, self.type, self.status, f"{self.attempts:>8}", f"{duration:>8}")


class Progress:
    """Shows the progress of jobs, as often as `show` is called."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._colourful = is_colourful(stream)
        self._height = 0
        self._last: dict[str, str] = {}

    def show(self, lines: Sequence[Line]) -> None:
        """Show the jobs' present state."""
        if self._live:
            self._draw([*self._table(lines), "", self._bar(lines)])
        else:
            self._tell_changes(lines)

    def finish(self, lines: Sequence[Line]) -> None:
        """Leave the jobs' last state on the screen."""
        self._draw(self._table(lines) if self._live else ["", *self._table(lines)])

    def _draw(self, rows: list[str]) -> None:
        # Up to the start of the last drawing, and clear everything below.
        again = f"\033[{self._height}F\033[J" if self._height else ""
        self._stream.write(again + "".join(f"{row}\n" for row in rows))
        self._stream.flush()
        self._height = len(rows)

    def _tell_changes(self, lines: Sequence[Line]) -> None:
        for line in lines:
            state = f"{line.status}, attempts {line.attempts}"
            if self._last.get(line.label) != state:
                self._stream.write(f"  {line.label}: {state}\n")
                self._last[line.label] = state
        self._stream.flush()

    def _table(self, lines: Sequence[Line]) -> list[str]:
        rows = [HEAD, *(line.cells() for line in lines)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        # A wrapped line would count as two, and the next drawing would start too low.
        room = get_terminal_size().columns - len("  ✓ ") if self._live else None
        texts = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))[:room]
            for row in rows
        ]
        marks = [self._mark(line) for line in lines]
        head = self._painted(texts[0], DIM)
        body = [f"  {mark} {text}" for mark, text in zip(marks, texts[1:], strict=True)]
        return [f"    {head}", *body]

    def _mark(self, line: Line) -> str:
        if line.as_expected is None:
            return self._painted("·", YELLOW)
        return self._painted("✓", GREEN) if line.as_expected else self._painted("✗", RED)

    def _bar(self, lines: Sequence[Line]) -> str:
        ended = sum(line.as_expected is not None for line in lines)
        full = BAR_WIDTH * ended // max(1, len(lines))
        bar = self._painted("━" * full, GREEN) + self._painted("─" * (BAR_WIDTH - full), DIM)
        return f"    {bar}  {ended} of {len(lines)} ended"

    def _painted(self, text: str, colour: int) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colourful else text
