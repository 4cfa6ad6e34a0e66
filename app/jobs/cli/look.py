"""`flask jobs types`, `list`, `show` and `watch`: what there is, and how far it has come."""

import sys
import time
from typing import Any

import click
from flask import current_app

from app.jobs import executions, show
from app.jobs.cli.group import FAILED, as_json, find_job, jobs, print_json
from app.jobs.models import Status
from app.jobs.registry import registry_of

POLL_SECONDS = 0.3


@jobs.command("types")
@as_json
def list_types(as_json: bool) -> None:
    """List the job types that were found, and how each is run."""
    configs = list(registry_of(current_app))
    if as_json:
        print_json([show.type_as_json(config) for config in configs])
    else:
        click.echo(show.types_table(configs))


@jobs.command("list")
@click.option("--status", type=click.Choice(list(Status)), help="Only jobs in this status.")
@click.option("--type", "job_type", help="Only jobs of this type.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@as_json
def list_jobs(status: Status | None, job_type: str | None, limit: int, as_json: bool) -> None:
    """List jobs, newest first."""
    if job_type is not None:
        registry_of(current_app).get(job_type)
    rows = executions.list_job_executions(status=status, job_type=job_type, limit=limit)
    if as_json:
        print_json([show.as_json(row) for row in rows])
    else:
        click.echo(show.jobs_table(rows) if rows else "No jobs.")


@jobs.command("show")
@click.argument("job_id", metavar="ID", type=click.UUID)
@as_json
def show_job(job_id: Any, as_json: bool) -> None:
    """Show one job: its state, its attempts and its payload."""
    row = find_job(str(job_id))
    print_json(show.as_json(row)) if as_json else click.echo(show.details(row))


@jobs.command("watch")
@click.argument("job_id", metavar="ID", type=click.UUID)
@click.option("--timeout", type=float, help="Give up after so many seconds (exit code 1).")
@as_json
def watch_job(job_id: Any, timeout: float | None, as_json: bool) -> None:
    """Follow a job until it is final: exit code 0 if it completed, otherwise 1."""
    give_up_at = time.monotonic() + timeout if timeout is not None else float("inf")
    last = ""
    while True:
        row = find_job(str(job_id))
        line = show.state_line(row)
        if line != last and not as_json:
            click.echo(line)
        last = line
        if show.is_final(row) or time.monotonic() >= give_up_at:
            break
        time.sleep(POLL_SECONDS)
    if as_json:
        print_json(show.as_json(row))
    sys.exit(0 if row.status == Status.COMPLETED else FAILED)
