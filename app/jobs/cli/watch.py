"""`flask jobs watch`: follow a job to its end, as a bar on a terminal, as lines elsewhere."""

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic, sleep

import click
from flask import json

from ..operate import status_link
from ..table.db import db
from ..table.models import JobExecution, Status
from .bar import Bar, line_of
from .formatting import painted
from .group import FAILED, find_job, jobs
from .params import Duration, JobId

POLL_SECONDS = 0.3
CLEAR_LINE = "\r\x1b[K"

Look = Callable[[JobExecution], None]


@jobs.command("watch")
@click.argument("job_id", metavar="ID", type=JobId())
@click.option(
    "--timeout", type=Duration(), help="Give up after this time, e.g. 90 or 5m (exit code 1)."
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each change.")
def watch_job(job_id: str, timeout: int | None, as_json: bool) -> None:
    r"""Follow a job to its end.

    On a terminal it redraws one line; elsewhere it prints a line for each change. Exit code 0 if
    the job completed, otherwise 1.

    \b
    Examples:
      flask jobs watch 5f0c
      flask jobs watch 5f0c --json --timeout 10m | tail -n 1
    """
    look = _looker(as_json=as_json)
    row = None
    try:
        for row in _seen(job_id, timeout):
            look(row)
    finally:
        if row is not None and _is_bar(as_json=as_json):
            click.echo()
    if row is None or not row.is_final:
        click.echo(f"stopped watching after {timeout:g} s; the job continues", err=True)
    elif row.error and not as_json:
        click.echo(row.error, err=True)
    sys.exit(0 if row is not None and row.status == Status.COMPLETED else FAILED)


def _seen(job_id: str, timeout: int | None) -> Iterator[JobExecution]:
    """Yield the job as it is, again and again, until it is final or the time is up."""
    give_up_at = monotonic() + timeout if timeout is not None else float("inf")
    while True:
        db.session.rollback()  # or the session would show what it saw before
        row = find_job(job_id)
        yield row
        if row.is_final or monotonic() >= give_up_at:
            return
        sleep(POLL_SECONDS)


def _is_bar(*, as_json: bool) -> bool:
    return not as_json and sys.stdout.isatty()


def _looker(*, as_json: bool) -> Look:
    if _is_bar(as_json=as_json):
        return partial(_redraw, Bar(plain="utf" not in (sys.stdout.encoding or "").lower()))
    return partial(_print_change, _as_json_line if as_json else line_of, [""])


def _redraw(bar: Bar, row: JobExecution) -> None:
    columns = shutil.get_terminal_size().columns
    line = bar.draw(row, columns=columns, now=monotonic())
    click.echo(f"{CLEAR_LINE}{painted(line)}", nl=False)


def _print_change(
    written: Callable[[JobExecution], str], last: list[str], row: JobExecution
) -> None:
    line = written(row)
    if line != last[0]:
        click.echo(line)
    last[0] = line


def _as_json_line(row: JobExecution) -> str:
    return json.dumps({**status_link.describe(row), "error": row.error})
