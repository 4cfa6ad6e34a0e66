"""Statuses in colour, where a terminal shows them."""

import re

import click

_COLOURS = {
    "completed": "green",
    "processing": "cyan",
    "retrying": "yellow",
    "failed, will retry": "yellow",
    "failed, dead": "red",
    "dead": "red",
    "failed": "red",
    "cancelled": "magenta",
}
# In a cell of its own: nowhere else do two spaces stand before a word. The longest first.
_CELL = re.compile(
    rf"(?<=  )({'|'.join(sorted(_COLOURS, key=len, reverse=True))})(?=\s|$)", re.MULTILINE
)


def painted(text: str) -> str:
    """Return a table, or a line, with the first status of each line in its colour."""
    return "\n".join(_CELL.sub(_paint, line, count=1) for line in text.split("\n"))


def _paint(found: re.Match[str]) -> str:
    return click.style(found[0], fg=_COLOURS[found[0]])
