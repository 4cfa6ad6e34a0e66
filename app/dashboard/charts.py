"""Charts as inline SVG: where each bar is, in the picture's own units."""

from collections.abc import Sequence
from dataclasses import dataclass

#: The picture's size.
WIDTH, HEIGHT = 600, 100
#: The part of a step's width that its bar takes.
FILLED = 0.8
#: A count above 0 is at least this high.
LOWEST = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """One colour of a bar; `kind` is a class of the stylesheet."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One step: its parts, above each other, and what it says when it is pointed at."""

    parts: list[Part]
    x: float
    width: float
    said: str


def stacked(steps: Sequence[tuple[str, dict[str, int]]]) -> list[Bar]:
    """Return a bar for each step.

    Args:
        steps: What each says, and its counts by kind, the lowest first.
    """
    most = max((sum(counts.values()) for _, counts in steps), default=0) or 1
    wide = WIDTH / max(1, len(steps))
    bars = []
    for number, (said, counts) in enumerate(steps):
        x, width, y = number * wide + wide * (1 - FILLED) / 2, wide * FILLED, float(HEIGHT)
        parts = []
        for kind, count in counts.items():
            if count:
                height = max(LOWEST, count / most * HEIGHT)
                y = max(0.0, y - height)
                parts.append(
                    Part(kind, round(x, 1), round(y, 1), round(width, 1), round(height, 1))
                )
        bars.append(Bar(parts, round(number * wide, 1), round(wide, 1), said))
    return bars
