"""`flask jobs enqueue` and `run`: jobs by hand."""

import sys
from pathlib import Path
from typing import Any

import click
import psycopg
from flask import json
from sqlalchemy.exc import OperationalError

from app.jobs import dispatcher, show
from app.jobs.cli.given_ids import Id
from app.jobs.cli.group import as_json, find_job, jobs, print_json
from app.jobs.cli.job_type import JobType
from app.jobs.errors import InvalidPayload, UnknownJobType
from app.jobs.redaction import scrub
from app.jobs.trial import run_handler


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


@jobs.command("enqueue")
@click.argument("job_type", metavar="TYPE", type=JobType())
@click.argument("payload", type=Payload())
@click.option("--user-id", type=Id(), metavar="ID", help="Whom the job is for.")
@click.option("--organization-id", type=Id(), metavar="ID", help="Likewise.")
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
        print_json(show.as_json(find_job(job_id)))
    else:
        click.echo(f"{job_id}\nFollow it with: flask jobs watch {job_id}")


@jobs.command("run")
@click.argument("job_type", metavar="TYPE", type=JobType())
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
        if _is_away(error):
            raise
        raise click.ClickException(scrub(f"{type(error).__name__}: {error}")) from error
    print_json(result) if as_json else click.echo(json.dumps(result, indent=2))


def _is_away(error: Exception) -> bool:
    """Tell whether the database cannot be reached, which says nothing of the handler."""
    return isinstance(error, OperationalError) and type(error.orig) is psycopg.OperationalError
