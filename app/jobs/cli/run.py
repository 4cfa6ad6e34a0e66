"""`flask jobs run`: a handler, here and now."""

from typing import Any

import click
import psycopg
from flask import json
from sqlalchemy.exc import OperationalError

from ..errors import DatabaseUnavailable, HandlerExited, InvalidPayload, UnknownJobType
from ..execute.run_now import run_handler
from ..payload import failures
from .group import acting_as, as_json, jobs, print_json
from .params import JobType, Payload


@jobs.command("run")
@click.argument("job_type", metavar="TYPE", type=JobType())
@click.argument("payload", type=Payload())
@acting_as
@as_json
def run_job(job_type: str, payload: Any, by: str, as_json: bool) -> None:
    r"""Run a job's handler in this process, without QStash.

    Use it to try out a handler. There is no row in the table, but the payload is validated, the
    time limit applies, and the handler's effects are real. Exit code 1 if it raises. PAYLOAD is
    JSON, @FILE or @- for standard input.

    \b
    Example:
      flask jobs run send-email @email.json
    """
    try:
        result = run_handler(job_type, payload, by=by)
    except (UnknownJobType, InvalidPayload, DatabaseUnavailable):
        raise
    except HandlerExited as error:
        raise click.ClickException(str(error)) from error
    except Exception as error:
        if _is_away(error):
            raise
        raise click.ClickException(failures.describe(error).error) from error
    print_json(result) if as_json else click.echo(json.dumps(result, indent=2))


def _is_away(error: Exception) -> bool:
    """Tell whether the database cannot be reached, which says nothing of the handler."""
    return isinstance(error, OperationalError) and type(error.orig) is psycopg.OperationalError
