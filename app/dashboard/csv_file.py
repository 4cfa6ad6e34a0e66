"""The list of jobs as CSV, for programs that open tables."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from ..jobs import JobExecution
from ..jobs.operate import Filter, attempts_made, list_jobs
from . import states

#: Rows of a file, and of one look at the table: a request has to end.
MOST, AT_ONCE = 10_000, 500
#: How often is looked on where a condition has no index and fits rarely.
LOOKS = 40
#: Characters of an error that are kept.
LONGEST = 1_000

_HEAD = (
    *("job_id", "type", "state", "attempts", "error", "user_id", "organization_id", "queue"),
    *("tags", "enqueued_at", "due_at", "started_at", "ended_at"),
)
#: What a program for tables takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write(wanted: Filter) -> str:
    """Return the newest jobs that fit, at most 10,000, with a line of names above them."""
    out = StringIO()
    lines = csv.writer(out)
    lines.writerow(_HEAD)
    lines.writerows(_cells(row) for row in _rows(wanted))
    return out.getvalue()


def _rows(wanted: Filter) -> Iterator[JobExecution]:
    after, left = None, MOST
    for _ in range(LOOKS):
        found = list_jobs(wanted, after=after, limit=min(AT_ONCE, left))
        yield from found.jobs
        after, left = found.after, left - len(found.jobs)
        if after is None or not left:
            return


def _cells(row: JobExecution) -> list[Any]:
    texts = (row.job_id, row.job_type, states.state_of(row).name)
    return [
        *map(_text, texts),
        attempts_made(row),
        _text((row.error or "")[:LONGEST]),
        *(_text(str(value)) if value is not None else "" for value in _owners(row)),
        _text(row.queue or ""),
        _text(" ".join(row.tags or ())),
        *map(_moment, (row.created_at, row.available_at, row.started_at, row.completed_at)),
    ]


def _owners(row: JobExecution) -> tuple[Any, Any]:
    return row.user_id, row.organization_id


def _text(value: str) -> str:
    """Return a text that is shown as it is, and never computed."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def _moment(when: datetime | None) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if when else ""


def name() -> str:
    """Return what the file is called."""
    return f"jobs-{datetime.now(UTC):%Y-%m-%d}.csv"
