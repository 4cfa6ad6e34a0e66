"""`flask jobs` as a plugin of Flask's command, so that its help needs neither app nor settings.

Making the app loads SQLAlchemy, a driver and every job family, which is most of a second. All but
the help is left to the group that the app has.
"""

from typing import Any

import click
from flask.cli import ScriptInfo

ABOUT = "Enqueue background jobs, look at them and act on them."
#: What `flask jobs --help` says of each command. `tests/test_commands.py` compares it with what the
#: commands say of themselves.
COMMANDS = {
    "alerts": "See what people were told of the jobs' health, and take care",
    "apikey": "Make, list and revoke the keys of the job API",
    "cancel": "Call jobs off; those that run are asked to stop",
    "check": "List the queued jobs whose payload this code would refuse; exit code 1 if there are "
    "any",
    "db": "Make and change the tables of jobs, unless the app's own migrations do",
    "delete": "Delete completed, cancelled or dead jobs, and with them the knowledge that they ran",
    "dlq": "See, retry and delete the dead letters that QStash keeps",
    "doctor": "Look for what may be wrong, and say how to mend it",
    "enqueue": "Enqueue a job and print its id",
    "health": "Say how the jobs are, and why",
    "link": "Print a link to a job's status: whoever has it can look, until it expires",
    "list": "List jobs, newest first",
    "new": "Write a job type TYPE into FAMILY, and the family where it is new, with tests that "
    "pass",
    "reconcile": "Compare the table with QStash both ways, and repair what differs",
    "retry": "Put failed or cancelled jobs back, to run again with all their retries",
    "run": "Run a job's handler here and now, without QStash and without a record",
    "schedules": "See, create, run, pause and delete QStash's schedules",
    "show": "Show one job: what happened to it and when, its attempts, payload and result",
    "stats": "Count the jobs recorded of late by type and status, with their times",
    "sweep": "Publish what was left behind, rescue what died, take over what QStash gave up",
    "types": "List the job types that were found, and how each is run",
    "watch": "Follow a job until it is final: exit code 0 if it completed, otherwise 1",
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
