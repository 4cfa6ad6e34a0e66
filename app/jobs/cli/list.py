"""`flask jobs list`: the newest jobs that match, a page at a time."""

import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any

import click

from ..operate import waiting
from ..table.filters import SEARCHED, Filter
from ..table.models import JobExecution, Status
from ..table.pages import Page, list_jobs
from . import formatting
from .formatting import painted
from .group import as_json, jobs, limit, print_json
from .params import filtered

#: Columns of a terminal that has room for whole ids.
ROOMY = 140
MINUTE = 60
#: Characters of an id that are shown elsewhere.
SHORT = 8


@jobs.command("list")
@filtered
@limit
@click.option(
    "--after", metavar="CURSOR", help="Continue from this cursor, printed by the previous page."
)
@as_json
def list_command(limit: int, after: str | None, as_json: bool, **conditions: Any) -> None:
    r"""List jobs, newest first.

    Each page of --error searches 5,000 jobs that have an error.

    \b
    Examples:
      flask jobs list --dead --type send-email --newer-than 1d
      flask jobs list --user-id 7 --limit 100 --json | jq -r '.jobs[].job_id'
    """
    page = list_jobs(Filter(**conditions), after=after, limit=limit)
    waits = waiting.reasons(page.jobs)
    if as_json:
        found = [
            {**formatting.as_json(row), "waits_for": waits.get(row.job_id)} for row in page.jobs
        ]
        print_json({"jobs": found, "after": page.after})
        return
    click.echo(painted(_table(page.jobs, waits)) if page.jobs else "No jobs.")
    if page.after:
        _tell_of_more(page)


def _table(rows: list[JobExecution], waits: Mapping[str, str]) -> str:
    """Return the jobs as lines; whose, where and when stand there if any of them has that."""
    columns = {
        "ID": _ids(rows),
        "TYPE": [row.job_type for row in rows],
        "STATUS": list(map(_state, rows)),
        "TRY": [str(formatting.attempts(row)) for row in rows],
        "AGE": [formatting.age(row.created_at) for row in rows],
        "DUE": list(map(_due, rows)),
        "USER": [_text(row.user_id) for row in rows],
        "ORG": [_text(row.organization_id) for row in rows],
        "QUEUE": [_text(row.queue) for row in rows],
        "TAGS": [" ".join(row.tags or ()) for row in rows],
    }
    shown = {head: cells for head, cells in columns.items() if any(cells)}
    lines = [tuple(shown), *zip(*shown.values(), strict=True)]
    errors = ["ERROR", *(row.error or waits.get(row.job_id, "") for row in rows)]
    return formatting.described(lines, errors, shrink=(1,))


def _ids(rows: list[JobExecution]) -> list[str]:
    """Return the ids; for a person, as much of each as the other commands need."""
    ids = [row.job_id for row in rows]
    if not sys.stdout.isatty() or formatting.width() >= ROOMY:
        return ids
    enough = next(n for n in range(SHORT, 256) if len({one[:n] for one in ids}) == len(ids))
    return [one[:enough] for one in ids]


def _due(row: JobExecution) -> str:
    """Say in how long a job that waits is due, where it has a time to wait for."""
    left = (row.available_at - datetime.now(UTC)).total_seconds() if row.available_at else 0
    if left <= 0 or row.is_final:
        return ""
    # Rounded up, as what is due in two hours has a little less left when it is looked at.
    return f"in {formatting.in_one_unit(ceil(left / MINUTE) * MINUTE if left > MINUTE else left)}"


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _state(row: JobExecution) -> str:
    """Return the status, or the option that finds this kind of failed jobs."""
    if row.status != Status.FAILED:
        return row.status
    return "dead" if row.dead_at else "retrying"


def _tell_of_more(page: Page) -> None:
    """Say how to go on, with the same conditions, where it does not disturb a pipe."""
    if page.searched_to:
        click.echo(
            f"\nSearched {SEARCHED:,} jobs with errors, "
            f"back to {formatting.time(page.searched_to)}.",
            err=True,
        )
    given = sys.argv[sys.argv.index("jobs") :] if "jobs" in sys.argv else ["jobs", "list"]
    command = shlex.join(["flask", *_without_after(given), "--after", page.after or ""])
    click.echo(f"\nNext page: {command}", err=True)


def _without_after(arguments: list[str]) -> list[str]:
    found = iter(arguments)
    return [
        argument
        for argument in found
        if not argument.startswith("--after=") and not (argument == "--after" and next(found, ""))
    ]
