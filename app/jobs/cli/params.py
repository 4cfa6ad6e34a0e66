"""What commands take: durations, ids, job types, payloads, and filters for jobs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from click.shell_completion import CompletionItem
from flask import current_app, json
from flask.cli import ScriptInfo

from ..errors import InvalidOption, UnknownJobType
from ..recover.sweep import GRACE
from ..registry import registry_of
from ..table.beginnings import SHORTEST, jobs_beginning
from ..table.job_rows import get_job_execution_by_job_id
from ..table.models import JobExecution, Status
from ..table.pages import is_recorded
from ..values.ids import MAX_LENGTH, OwnerId, is_job_id, is_uuid, parse_owner_id, setting
from ..values.options import parse_written_duration
from ..values.tags import parse_tag
from . import formatting
from .group import Refused

#: Seconds: further back the calendar of a database may not go.
LONGEST = 100 * 366 * 24 * 60 * 60
#: How many are named where more than one fits.
NAMED = 5


class Duration(click.ParamType[int]):
    """Seconds, or a duration such as `1m30s`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        try:
            seconds = parse_written_duration("the time", str(value))
        except InvalidOption as error:
            self.fail(str(error), param, ctx)
        if seconds > LONGEST:
            self.fail("the time is more than a hundred years; give less", param, ctx)
        return seconds


class JobType(click.ParamType[str]):
    """A registered job type's name.

    Args:
        recorded: Also accept a type that is not registered (any more) but has jobs.
    """

    name = "type"

    def __init__(self, *, recorded: bool = False) -> None:
        self._recorded = recorded

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        try:
            return registry_of(current_app).get(value).type
        except UnknownJobType as error:
            if self._recorded and is_recorded(value):
                return str(value)
            self.fail(str(error), param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,
        param: Any,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Offer the app's types; a shell asks outside of the app's context."""
        info = ctx.find_object(ScriptInfo)
        return [
            CompletionItem(config.type, help=config.description)
            for config in registry_of(info.load_app() if info else current_app)
            if config.type.startswith(incomplete)
        ]


class Payload(click.ParamType[Any]):
    """JSON, or `@file` to read it from a file (`@-` is standard input)."""

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


class Id(click.ParamType[OwnerId]):
    """The id of a user or an organization, of the kind set by JOBS_ID_TYPE."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: Any) -> OwnerId:
        try:
            return parse_owner_id(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is not {error} (JOBS_ID_TYPE={setting(value)})", param, ctx)


class Tag(click.ParamType[str]):
    """One of a job's tags."""

    name = "tag"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        try:
            return parse_tag(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


class StatusName(click.Choice[str]):
    """A status; what `list` shows for a failed job has a filter of its own."""

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if value in {"dead", "retrying"}:
            self.fail(
                f"{value!r} is a kind of failed job: give --{value} in place of --status",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


class JobId(click.ParamType[str]):
    """A job's id, or the first characters of it; a whole one is taken even if no job has it."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        given = str(value).strip().rstrip("….")
        if is_uuid(given) and given != given.lower() and get_job_execution_by_job_id(given):
            return given  # another producer's, in capitals
        try:
            return str(UUID(given))
        except ValueError:
            pass
        if not is_job_id(given):
            self.fail(f"{value!r} is not one line of 1 to {MAX_LENGTH} characters", param, ctx)
        return _only(given, jobs_beginning(given, limit=NAMED + 1))


def _only(given: str, found: list[JobExecution]) -> str:
    if not found and len(given) < SHORTEST:
        raise Refused(f"{given} is too short: give at least {SHORTEST} characters of the id")
    if not found:
        raise Refused(f"no job has the id {given}; `flask jobs list` shows the newest jobs")
    if len(found) > 1:
        named = ", ".join(
            f"{row.job_id} ({row.job_type}, {formatting.age(row.created_at)} old)"
            for row in found[:NAMED]
        )
        more = " and more" if len(found) > NAMED else ""
        raise Refused(f"{given} matches several jobs: {named}{more}; give more characters")
    return found[0].job_id


_CONDITIONS = (
    # By their values: given an enum, click offers its members' names.
    click.option(
        "--status", type=StatusName(list(map(str, Status))), help="Only jobs in this status."
    ),
    click.option(
        "--dead/--retrying",
        default=None,
        help="Only failed jobs that will not be retried, or only those that will.",
    ),
    click.option("--type", "job_type", type=JobType(recorded=True), help="Only jobs of this type."),
    click.option("--user-id", type=Id(), metavar="ID", help="Only jobs of this user."),
    click.option(
        "--organization-id", type=Id(), metavar="ID", help="Only jobs of this organization."
    ),
    click.option("--older-than", type=Duration(), help="Only jobs created before that, e.g. 7d."),
    click.option("--newer-than", type=Duration(), help="Only jobs created since then, e.g. 2h."),
    click.option("--error", metavar="TEXT", help="Only jobs with this text in their error."),
    click.option("--fingerprint", metavar="KIND", help="Only jobs with errors of this kind."),
    click.option(
        "--tag", "tags", type=Tag(), multiple=True, help="Only jobs with this tag (repeatable)."
    ),
    click.option("--message-id", metavar="ID", help="Only the job of this QStash message."),
    click.option(
        "--batch",
        "batch_id",
        type=click.UUID,
        callback=lambda _, __, value: None if value is None else str(value),
        metavar="ID",
        help="Only jobs of this batch, and what follows its end.",
    ),
    click.option(
        "--schedule", "schedule_id", metavar="ID", help="Only jobs that this schedule created."
    ),
)


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Add options that select jobs; the command gets them under the names of `Filter`."""
    for option in reversed(_CONDITIONS):
        command = option(command)
    return command


grace = click.option(
    "--grace",
    type=Duration(),
    default=f"{GRACE:g}s",
    show_default=True,
    help="Skip jobs that changed, or whose lease expired, within this time.",
)
