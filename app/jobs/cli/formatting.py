"""How jobs, tables, times and statuses look on the command line."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from flask import current_app

from .. import durations
from ..payload.masking import hidden
from ..registry import JobConfig
from ..table.models import JobExecution, Status
from ..values.retention import Retention

# Neither the table's own key nor the lease, which is a secret between a delivery and its row; and
# logs only on request.
_NOT_SHOWN = {"id", "lease_token", "logs"}

GAP = "  "
#: Columns are not shrunk below this.
NARROWEST = 10
#: Texts that would be cut shorter get their own line.
TEXT_ROOM = 60

_MINUTE, _HOUR, _DAY = 60, 3600, 86400

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
# In its own cell: only there do two spaces come before a word. The longest first.
_CELL = re.compile(
    rf"(?<=  )({'|'.join(sorted(_COLOURS, key=len, reverse=True))})(?=\s|$)", re.MULTILINE
)
# What acts on a terminal, or turns the direction of writing: errors and names may come from others.
_ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def state(row: JobExecution) -> str:
    """Return the status, and for a failed job whether it will be retried."""
    if row.status != Status.FAILED:
        return row.status
    return "failed, dead" if row.dead_at else "failed, will retry"


def as_json(row: JobExecution) -> dict[str, Any]:
    """Return everything about a job that may be shown."""
    names = (column.key for column in JobExecution.__table__.columns)
    values = {name: getattr(row, name) for name in names if name not in _NOT_SHOWN}
    return {
        name: value.isoformat() if isinstance(value, datetime) else hidden(value)
        for name, value in values.items()
    }


def type_as_json(config: JobConfig) -> dict[str, Any]:
    names = ("type", "endpoint", "retries", "timeout", "description", "queue", "version", "sealed")
    found = {name: getattr(config, name) for name in (*names, "tags")}
    return {**found, "retention": dict(retention_of(config))}


def retention_of(config: JobConfig) -> Retention:
    """Return for how many seconds jobs of a type are kept, where it or JOBS_RETENTION says so."""
    return {**current_app.config["JOBS_RETENTION"], **config.retention}


def _kept(config: JobConfig) -> str:
    times = retention_of(config).items()
    return ", ".join(f"{end} {durations.in_words(seconds)}" for end, seconds in times)


def types_table(configs: Sequence[JobConfig]) -> str:
    columns = {
        "TYPE": [config.type for config in configs],
        "ENDPOINT": [config.endpoint for config in configs],
        "RETRIES": [str(config.retries) for config in configs],
        "TIMEOUT": [f"{config.timeout} s" for config in configs],
        "KEPT": list(map(_kept, configs)),
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    head, rows = tuple(shown), zip(*shown.values(), strict=True)
    return described([head, *rows], ["DESCRIPTION", *(config.description for config in configs)])


def attempts(row: JobExecution) -> int:
    return row.attempts[-1]["number"] if row.attempts else 0


def table(rows: Sequence[Sequence[str]], *, shrink: Sequence[int] = ()) -> str:
    """Align columns within the terminal's width.

    Args:
        rows: The first is the head.
        shrink: Columns that may be cut, in this order. If that is not enough, the last column is
            wrapped.
    """
    return "\n".join(line for lines in lines_of(rows, shrink=shrink) for line in lines)


def lines_of(rows: Sequence[Sequence[str]], *, shrink: Sequence[int] = ()) -> list[list[str]]:
    """Return the lines of each row of a table: more than one where the last column is wrapped."""
    rows = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for column in (*shrink, len(widths) - 1):
        over = sum(widths) + len(GAP) * (len(widths) - 1) - width()
        widths[column] -= max(0, min(over, widths[column] - NARROWEST))
    return [list(_lines(row, widths)) for row in rows]


def described(
    rows: Sequence[Sequence[str]], texts: Sequence[str], *, shrink: Sequence[int] = ()
) -> str:
    """Align columns, with a text for each row: after it, or below it if there is little room.

    Args:
        rows: As for `table`.
        texts: One for each row; the first is their head. There is no column if all are empty.
        shrink: As for `table`.
    """
    if not any(texts[1:]):
        return table(rows, shrink=shrink)
    texts = list(map(harmless, texts))
    found = lines_of(rows, shrink=shrink)
    wide = max(len(line) for lines in found for line in lines)
    room = width() - wide - len(GAP)
    if room >= min(TEXT_ROOM, max(map(len, texts))):
        for lines, text in zip(found, texts, strict=True):
            lines[0] = f"{lines[0].ljust(wide)}{GAP}{short(text, room)}".rstrip()
    else:
        for lines, text in zip(found[1:], texts[1:], strict=True):
            lines.extend([f"    {short(text, width() - 4)}"] if text else [])
    return "\n".join(line for lines in found for line in lines)


def harmless(text: str) -> str:
    """Return a text with escapes for the characters that would act on a terminal."""
    return _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def width() -> int:
    """Return the terminal's width; there is no limit in a pipe or a file."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return sys.maxsize


def time(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def age(moment: datetime) -> str:
    """Format how long ago it was, in one unit: `3m`."""
    return in_one_unit((datetime.now(UTC) - moment).total_seconds())


def in_one_unit(time: float) -> str:
    seconds = max(0, int(time))
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= unit:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"


def short(text: str, width: int) -> str:
    """Return a text as one line of at most this many characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def painted(text: str) -> str:
    """Colour the first status in each line of a table, or in a line."""
    return "\n".join(_CELL.sub(_paint, line, count=1) for line in text.split("\n"))


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    *cells, last = row
    front = "".join(
        (cell if len(cell) <= room else short(cell, room)).ljust(room) + GAP
        for cell, room in zip(cells, widths, strict=False)
    )
    wrapped = [last]
    if len(last) > widths[-1]:
        wrapped = textwrap.wrap(last, widths[-1], break_on_hyphens=False) or [""]
    for number, part in enumerate(wrapped):
        yield f"{front if number == 0 else ' ' * len(front)}{part}".rstrip()


def _paint(found: re.Match[str]) -> str:
    return click.style(found[0], fg=_COLOURS[found[0]])
