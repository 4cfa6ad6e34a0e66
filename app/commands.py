"""`flask jobs` as a plugin of Flask's command, so that its help needs neither app nor settings.

Making the app loads SQLAlchemy, a driver and every job family, which is most of a second. All but
the help is left to the group that the app has.
"""

from typing import Any

import click
from flask.cli import ScriptInfo

ABOUT = """Enqueue, inspect and manage background jobs.

\b
Examples:
  flask jobs types
  flask jobs list --dead --newer-than 1d
  flask jobs show 5f0c --traceback
  flask jobs doctor
"""
#: What `flask jobs --help` says of each command. `tests/test_commands.py` compares it with what the
#: commands say of themselves.
COMMANDS = {
    "alerts": "List, silence and acknowledge health alerts",
    "apikey": "Create, list and revoke the keys of the job API",
    "cancel": "Cancel jobs that are not finished; running ones are asked to stop",
    "check": "List queued jobs that this version of the code would reject",
    "db": "Create and upgrade the job tables, unless the app's migrations do",
    "delete": "Delete completed, cancelled or dead jobs for good",
    "dlq": "List, retry and delete messages in QStash's dead-letter queue",
    "doctor": "Check settings, database and QStash, and say how to fix problems",
    "enqueue": "Enqueue a job and print its id",
    "health": "Report whether jobs are healthy, and why not",
    "link": "Print a link to a job's status that needs no login",
    "list": "List jobs, newest first",
    "new": "Generate a job type with passing tests, in a new or existing family",
    "reconcile": "Compare the table with QStash, and repair differences",
    "retry": "Retry failed or cancelled jobs, with all their retries again",
    "run": "Run a job's handler in this process, without QStash",
    "schedules": "List, create, run, pause and delete schedules at QStash",
    "show": "Show one job: its timeline, attempts, payload and result",
    "stats": "Count recent jobs by type and status, with run and wait times",
    "sweep": "Repair what crashes and outages left behind",
    "types": "List the registered job types and their settings",
    "watch": "Follow a job to its end",
}


class JobsHelp(click.Group):
    """Lists the commands by itself, and loads the app for whatever else is asked."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return a context of this group for its help, else one of the app's group."""
        if parent is None or args in ([], ["--help"]):
            return super().make_context(info_name, args, parent, **extra)
        group = _own_group(parent)
        parent.with_resource(parent.ensure_object(ScriptInfo).load_app().app_context())
        return group.make_context(info_name, args, parent, **extra)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of the app's group."""
        return _own_group(ctx).get_command(ctx, cmd_name)

    def list_commands(self, _: click.Context) -> list[str]:
        """Name them."""
        return list(COMMANDS)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """List them with their whole first sentences."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _own_group(ctx: click.Context) -> click.Group:
    app = ctx.ensure_object(ScriptInfo).load_app()
    group = app.cli.commands.get("jobs")
    if not isinstance(group, click.Group):
        raise click.UsageError("This app has no jobs: its Jobs extension is not initialised.")
    return group


jobs = JobsHelp("jobs", help=ABOUT)
