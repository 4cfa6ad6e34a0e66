"""`flask jobs enqueue` and `run`: jobs by hand."""

import sys
from pathlib import Path
from typing import Any

import click
import psycopg
from flask import json
from sqlalchemy.exc import OperationalError

from ..enqueue import enqueuer
from ..errors import HandlerExited, InvalidPayload, UnknownJobType
from ..execute.run_now import run_handler
from ..payload import failures
from . import formatting
from .group import as_json, find_job, jobs, print_json
from .job_type import JobType
from .publishing import Moment, given, publishing


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
@publishing
@click.option("--idempotency-key", metavar="KEY", help="The same key again makes no second job.")
@click.option("--not-before", type=Moment(), metavar="TIME", help="When to deliver, with its zone.")
@as_json
def enqueue_job(job_type: str, payload: Any, as_json: bool, **options: Any) -> None:
    r"""Enqueue a job and print its id.

    \b
    Examples:
      flask jobs enqueue send-email @email.json --delay 10m
      flask jobs enqueue send-email @email.json --not-before 2026-12-24T18:00+01:00
      flask jobs enqueue export-data @export.json --queue exports --header 'X-Tenant: acme'
      flask jobs enqueue send-email '{"to": "ann@example.com", "template": "passwordChanged",
                                      "data": {"recipientName": "Ann"}}'
    """
    job_id = enqueuer.enqueue(job_type, payload, **given(options))
    if as_json:
        print_json(formatting.as_json(find_job(job_id)))
        return
    click.echo(job_id)
    click.echo(f"Follow it with: flask jobs watch {job_id}", err=True)


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
    except HandlerExited as error:
        raise click.ClickException(str(error)) from error
    except Exception as error:
        if _is_away(error):
            raise
        raise click.ClickException(failures.tell(error).error) from error
    print_json(result) if as_json else click.echo(json.dumps(result, indent=2))


def _is_away(error: Exception) -> bool:
    """Tell whether the database cannot be reached, which says nothing of the handler."""
    return isinstance(error, OperationalError) and type(error.orig) is psycopg.OperationalError
