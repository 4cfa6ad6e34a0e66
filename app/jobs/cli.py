"""`flask jobs …`: enqueue, look at and try out jobs."""

import sys
import time
from pathlib import Path
from typing import Any

import click
from flask import current_app, json
from flask.cli import AppGroup

from app.jobs import dispatcher, executions, show
from app.jobs.errors import InvalidPayload, JobsError, UnknownJobType
from app.jobs.models import JobExecution, Status
from app.jobs.registry import registry_of
from app.jobs.transactions import explained
from app.jobs.trial import run_handler

FAILED, WRONG = 1, 2
POLL_SECONDS = 0.3

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


class JobsGroup(AppGroup):
    """Turns what can go wrong into one line that names the problem."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with explained():
                return super().invoke(ctx)
        except JobsError as error:
            raise Refused(str(error)) from error


class Refused(click.ClickException):
    exit_code = WRONG


jobs = JobsGroup("jobs", help="Enqueue background jobs and look at them.")


class Payload(click.ParamType[Any]):
    """JSON as it stands, or `@file` (`@-` is standard input)."""

    name = "payload"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            return json.loads(self._read(value))
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"cannot read {value[1:]}: {error}", param, ctx)
        except ValueError as error:
            self.fail(f"not JSON: {error}", param, ctx)

    @staticmethod
    def _read(value: str) -> str:
        if not value.startswith("@"):
            return value
        return sys.stdin.read() if value == "@-" else Path(value[1:]).read_text(encoding="utf-8")


@jobs.command("types")
@as_json
def list_types(as_json: bool) -> None:
    """List the job types that were found, and how each is run."""
    configs = list(registry_of(current_app))
    if as_json:
        _print_json([show.type_as_json(config) for config in configs])
    else:
        click.echo(show.types_table(configs))


@jobs.command("enqueue")
@click.argument("job_type", metavar="TYPE")
@click.argument("payload", type=Payload())
@click.option("--user-id", type=int, help="Whom the job is for.")
@click.option("--organization-id", type=int, help="Likewise.")
@click.option("--idempotency-key", help="The same key again makes no second job.")
@click.option("--delay", help='When to deliver: seconds, or a duration such as "1m30s".')
@click.option("--retries", type=int, help="How often to try again after a failure.")
@as_json
def enqueue_job(job_type: str, payload: Any, as_json: bool, **options: Any) -> None:
    r"""Enqueue a job and print its id.

    \b
    Examples:
      flask jobs enqueue send-email @email.json --delay 10m
      flask jobs enqueue send-email '{"to": "ann@example.com", "template": "passwordChanged",
                                      "data": {"recipientName": "Ann"}}'
    """
    if (options["delay"] or "").isdigit():
        options["delay"] = int(options["delay"])
    given = {name: value for name, value in options.items() if value is not None}
    job_id = dispatcher.enqueue(job_type, payload, **given)
    if as_json:
        _print_json(show.as_json(_find(job_id)))
    else:
        click.echo(f"{job_id}\nFollow it with: flask jobs watch {job_id}")


@jobs.command("run")
@click.argument("job_type", metavar="TYPE")
@click.argument("payload", type=Payload())
@as_json
def run_job(job_type: str, payload: Any, as_json: bool) -> None:
    """Run a job's handler here and now, without QStash and without a record.

    For trying a handler out: the payload is validated, the time limit holds, and what the handler
    does is real. Exit code 1 if it raises.
    """
    try:
        result = run_handler(job_type, payload)
    except (UnknownJobType, InvalidPayload):
        raise
    except Exception as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from error
    _print_json(result) if as_json else click.echo(json.dumps(result, indent=2))


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
        _print_json([show.as_json(row) for row in rows])
    else:
        click.echo(show.jobs_table(rows) if rows else "No jobs.")


@jobs.command("show")
@click.argument("job_id", metavar="ID", type=click.UUID)
@as_json
def show_job(job_id: Any, as_json: bool) -> None:
    """Show one job: its state, its attempts and its payload."""
    row = _find(str(job_id))
    _print_json(show.as_json(row)) if as_json else click.echo(show.details(row))


@jobs.command("watch")
@click.argument("job_id", metavar="ID", type=click.UUID)
@click.option("--timeout", type=float, help="Give up after so many seconds (exit code 1).")
@as_json
def watch_job(job_id: Any, timeout: float | None, as_json: bool) -> None:
    """Follow a job until it is final: exit code 0 if it completed, otherwise 1."""
    give_up_at = time.monotonic() + timeout if timeout is not None else float("inf")
    last = ""
    while True:
        row = _find(str(job_id))
        line = show.state_line(row)
        if line != last and not as_json:
            click.echo(line)
        last = line
        if show.is_final(row) or time.monotonic() >= give_up_at:
            break
        time.sleep(POLL_SECONDS)
    if as_json:
        _print_json(show.as_json(row))
    sys.exit(0 if row.status == Status.COMPLETED else FAILED)


def _find(job_id: str) -> JobExecution:
    row = executions.get_job_execution_by_job_id(job_id)
    if row is None:
        raise Refused(f"there is no job {job_id}; `flask jobs list` shows the newest")
    return row


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))
