"""The group of commands, and what they share: errors in one line, `--json`, finding a job."""

from typing import Any

import click
from flask import json
from flask.cli import AppGroup

from app.jobs import executions
from app.jobs.errors import JobsError
from app.jobs.models import JobExecution
from app.jobs.transactions import explained

FAILED, WRONG = 1, 2

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


jobs = JobsGroup("jobs", help="Enqueue background jobs, look at them and act on them.")


def find_job(job_id: str) -> JobExecution:
    row = executions.get_job_execution_by_job_id(job_id)
    if row is None:
        raise Refused(f"there is no job {job_id}; `flask jobs list` shows the newest")
    return row


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))
