"""`flask jobs list`: the newest jobs that fit, a page at a time."""

import shlex
import sys
from typing import Any

import click

from app.jobs import show
from app.jobs.cli.filtering import filtered
from app.jobs.cli.group import as_json, jobs, limit, print_json
from app.jobs.filters import Filter
from app.jobs.listing import SEARCHED, Page, list_jobs
from app.jobs.models import JobExecution, Status


@jobs.command("list")
@filtered
@limit
@click.option("--after", metavar="CURSOR", help="The next page, as the one before says.")
@as_json
def list_command(limit: int, after: str | None, as_json: bool, **conditions: Any) -> None:
    r"""List jobs, newest first.

    A piece of an error is looked for in 5,000 jobs with an error at a time, the newest first.

    \b
    Examples:
      flask jobs list --dead --type send-email --newer-than 1d
      flask jobs list --user-id 7 --limit 100 --json | jq -r '.jobs[].job_id'
    """
    page = list_jobs(Filter(**conditions), after=after, limit=limit)
    if as_json:
        print_json({"jobs": [show.as_json(row) for row in page.jobs], "after": page.after})
        return
    click.echo(_table(page.jobs) if page.jobs else "No jobs.")
    if page.after:
        _tell_of_more(page)


def _table(rows: list[JobExecution]) -> str:
    head = ("ID", "TYPE", "STATUS", "TRY", "AGE")
    errors = ["ERROR", *(row.error or "" for row in rows)]
    return show.described([head, *map(_cells, rows)], errors, shrink=(1,))


def _cells(row: JobExecution) -> tuple[str, ...]:
    return (
        row.job_id,
        row.job_type,
        _state(row),
        str(show.attempts(row)),
        show.age(row.created_at),
    )


def _state(row: JobExecution) -> str:
    """Return the status, or the option that finds this kind of failed jobs."""
    if row.status != Status.FAILED:
        return row.status
    return "dead" if row.dead_at else "retrying"


def _tell_of_more(page: Page) -> None:
    """Say how to go on, with the same conditions, where it does not disturb a pipe."""
    if page.searched_to:
        click.echo(
            f"\nLooked at {SEARCHED:,} jobs with errors, back to {show.time(page.searched_to)}.",
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
