"""The options that say which jobs are meant, for `list` as for `retry`, `cancel` and `delete`."""

from collections.abc import Callable

import click

from ..table.models import Status
from .durations import Duration
from .given_ids import Id
from .job_type import JobType

_CONDITIONS = (
    # By their values: given an enum, click offers its members' names.
    click.option("--status", type=click.Choice(list(map(str, Status))), help="In this status."),
    click.option(
        "--dead/--retrying",
        default=None,
        help="Only failed jobs that will not be retried, or that will.",
    ),
    click.option("--type", "job_type", type=JobType(recorded=True), help="Only of this type."),
    click.option("--user-id", type=Id(), metavar="ID", help="Only jobs of this user."),
    click.option(
        "--organization-id", type=Id(), metavar="ID", help="Only jobs of this organization."
    ),
    click.option("--older-than", type=Duration(), help='Recorded at least so long ago: "7d".'),
    click.option("--newer-than", type=Duration(), help='Recorded at most so long ago: "2h".'),
    click.option("--error", metavar="TEXT", help="Only jobs whose error has this text in it."),
    click.option("--message-id", metavar="ID", help="Only the job that this message brings."),
    click.option("--schedule", "schedule_id", metavar="ID", help="Only what it has fired."),
)


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; the command gets them by the names of `Filter`."""
    for option in reversed(_CONDITIONS):
        command = option(command)
    return command
