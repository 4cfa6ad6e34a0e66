"""The group of commands, and what they share: errors in one line, `--json`, finding a job."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask import has_app_context, json
from flask.cli import AppGroup, ScriptInfo

from ..errors import DatabaseUnavailable, JobsError, PublishError, PublishUnavailable
from ..operate.readiness import TOKEN_REFUSED
from ..table import audit, job_rows
from ..table.db import translate_database_errors
from ..table.models import JobExecution

FAILED, WRONG = 1, 2

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
acting_as = click.option(
    "--by",
    default=audit.current_account,
    metavar="NAME",
    help="Name for the audit log.  [default: the account you are logged in as]",
)
yes = click.option("--yes", is_flag=True, help="Skip the confirmation prompt.")
limit = click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Maximum number of rows.",
)

_START = "`flask jobs dev` starts it in development"


class CommandGroup(AppGroup):
    """A group whose help is not cut, and which keeps the lines of examples."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their whole first sentence, on as many lines as it takes."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, _first_sentence(one)) for name, one in found if one and not one.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _keep_lines(command)
        return command


class JobsGroup(CommandGroup):
    """Turns what can go wrong into one line that names the problem and the fix."""

    def invoke(self, ctx: click.Context) -> Any:
        if os.environ.get("NO_COLOR"):  # https://no-color.org
            ctx.color = False
        if not has_app_context():  # as in the app's own `test_cli_runner`; arguments ask the app
            ctx.with_resource(ctx.ensure_object(ScriptInfo).load_app().app_context())
        try:
            with translate_database_errors(), _quiet(ctx):
                return super().invoke(ctx)
        except JobsError as error:
            raise Refused(_with_fix(error)) from error


class Refused(click.ClickException):
    exit_code = WRONG


@contextmanager
def needs_writing(name: str) -> Iterator[None]:
    """Refuse what the folder that a command runs in does not take."""
    try:
        yield
    except OSError as error:
        raise Refused(
            f"cannot write {name} here ({error.strerror}): "
            "run this in a folder that you may write to"
        ) from error


_HELP = """Enqueue, inspect and manage background jobs.

\b
Examples:
  flask jobs types
  flask jobs list --dead --newer-than 1d
  flask jobs show 5f0c --traceback
  flask jobs doctor
"""

jobs = JobsGroup("jobs", help=_HELP)


def find_job(job_id: str) -> JobExecution:
    row = job_rows.get_job_execution_by_job_id(job_id)
    if row is None:
        raise Refused(f"no job has the id {job_id}; `flask jobs list` shows the newest jobs")
    return row


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def confirm(question: str) -> None:
    """Ask, and end the command unless the answer is yes.

    Raises:
        Refused: The input is not a terminal.
    """
    if not is_terminal():
        raise Refused(f"{question} Not a terminal: pass --yes to confirm")
    click.confirm(question, abort=True, err=True)


def is_terminal() -> bool:
    return sys.stdin.isatty()


def _first_sentence(command: click.Command) -> str:
    text = command.short_help or (command.help or "").split("\n\n")[0].split("\b")[0]
    line = " ".join(text.split())
    return line[:-1] if line.endswith(".") and not line.endswith("..") else line


@contextmanager
def _quiet(ctx: click.Context) -> Iterator[None]:
    """Keep log lines of what goes well out of the output, unless JOBS_QUIET is false.

    A log file gets them all the same.
    """
    consoles = [one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler]
    before = [console.level for console in consoles]
    if ctx.ensure_object(ScriptInfo).load_app().config["JOBS_QUIET"]:
        for console in consoles:
            console.setLevel(max(console.level, logging.WARNING))
    try:
        yield
    finally:
        for console, level in zip(consoles, before, strict=True):
            console.setLevel(level)


def _keep_lines(command: click.Command) -> None:
    """Repair click's mark for lines to keep: in a raw docstring it is two characters."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _keep_lines(inner)


def _with_fix(error: JobsError) -> str:
    said = " ".join(str(error).split())
    if isinstance(error, DatabaseUnavailable) and error.is_outage:
        return f"{said}; check DATABASE_URL and that PostgreSQL is running there"
    if isinstance(error, PublishUnavailable) and error.is_outage and error.status is None:
        return f"{said}; check QSTASH_URL and that QStash is running there: {_START}"
    if isinstance(error, PublishError) and error.status in TOKEN_REFUSED:
        return f"QStash rejected the token: check QSTASH_TOKEN and QSTASH_URL ({said})"
    return said
