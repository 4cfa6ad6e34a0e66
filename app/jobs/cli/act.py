"""`flask jobs retry`, `cancel` and `delete`: what people do to jobs by hand."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
from flask import json

from app.jobs import actions, audit
from app.jobs.actions import Action, Done
from app.jobs.cli.durations import Duration
from app.jobs.cli.group import FAILED, as_json, jobs
from app.jobs.filters import Filter
from app.jobs.models import Status

_OPTIONS = (
    click.argument("job_ids", metavar="[ID]...", nargs=-1, type=click.UUID),
    click.option("--status", type=click.Choice(list(Status)), help="Only jobs in this status."),
    click.option(
        "--dead/--not-dead",
        default=None,
        help="Only failed jobs that will not be retried / that will.",
    ),
    click.option("--type", "job_type", help="Only jobs of this type."),
    click.option("--older-than", type=Duration(), help='Recorded at least so long ago: "7d".'),
    click.option("--newer-than", type=Duration(), help='Recorded at most so long ago: "2h".'),
    click.option("--organization-id", type=int, help="Only jobs of this organization."),
    click.option("--error", help="Only jobs whose error has this text in it."),
    click.option("--all", "everything", is_flag=True, help="Without any condition."),
    click.option("--by", default=audit.current_account, help="Who does it, for the record."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    as_json,
)


def _filtered(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@jobs.command("retry")
@_filtered
def retry_jobs(**options: Any) -> None:
    r"""Put failed or cancelled jobs back, to run again with all their retries.

    \b
    Examples:
      flask jobs retry 5f0c…
      flask jobs retry --dead --type send-email --error "rate limit" --newer-than 2h
    """
    _act("retry", actions.retry, options)


@jobs.command("cancel")
@_filtered
def cancel_jobs(**options: Any) -> None:
    """Call jobs off; those that run are asked to stop."""
    _act("cancel", actions.cancel, options)


@jobs.command("delete")
@_filtered
def delete_jobs(**options: Any) -> None:
    """Delete completed, cancelled or dead jobs, and with them the knowledge that they ran."""
    _act("delete", actions.delete, options)


def _act(action: Action, act: Callable[..., Done], options: dict[str, Any]) -> None:
    """Preview, ask, act and say what was done; exit code 1 where a named job was not changed."""
    by, yes, machine = (options.pop(name) for name in ("by", "yes", "as_json"))
    options["job_ids"] = tuple(map(str, options["job_ids"]))
    wanted = Filter(**options)
    if not yes and (action == "delete" or not wanted.job_ids):
        _ask(action, wanted)
    done = act(wanted, by=by)
    click.echo(json.dumps(asdict(done)) if machine else _said(done))
    if done.count < len(wanted.job_ids):
        missed = len(wanted.job_ids) - done.count
        click.echo(
            f"{missed} of the named jobs are not there, or in no state to {action}", err=True
        )
        sys.exit(FAILED)


def _ask(action: Action, wanted: Filter) -> None:
    counts = actions.preview(action, wanted)
    if not counts:
        return
    found = ", ".join(f"{count} {status}" for status, count in counts.items())
    click.confirm(
        f"{action.capitalize()} {sum(counts.values())} jobs ({found})?", abort=True, err=True
    )


def _said(done: Done) -> str:
    jobs_ = "1 job" if done.count == 1 else f"{done.count} jobs"
    parts = [f"{done.action}: {jobs_}"]
    if done.asked:
        parts.append(f"{done.asked} of them running, asked to stop")
    if done.waiting:
        parts.append(f"QStash cannot be reached: {done.waiting} will be published by the sweep")
    return "; ".join(parts)
