"""`flask jobs retry`, `cancel` and `delete`."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
from flask import json

from ..operate import actions
from ..operate.actions import Action, Done
from ..table.filters import Filter
from .group import FAILED, acting_as, as_json, confirm, jobs, yes
from .params import JobId, filtered

#: What was done, in the words of the report.
_PAST = {"retry": "retried", "cancel": "cancelled", "delete": "deleted"}

_OPTIONS = (
    click.argument("job_ids", metavar="[ID]...", nargs=-1, type=JobId()),
    filtered,
    click.option("--all", "everything", is_flag=True, help="Act on all jobs."),
    acting_as,
    yes,
    as_json,
)


def _on_jobs(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@jobs.command("retry")
@_on_jobs
def retry_jobs(**options: Any) -> None:
    r"""Retry failed or cancelled jobs, with all their retries again.

    \b
    Examples:
      flask jobs retry 5f0c
      flask jobs retry --dead --type send-email --error "rate limit" --newer-than 2h
    """
    _act("retry", actions.retry, options)


@jobs.command("cancel")
@_on_jobs
def cancel_jobs(**options: Any) -> None:
    r"""Cancel jobs that are not finished; running ones are asked to stop.

    \b
    Examples:
      flask jobs cancel 5f0c 81be
      flask jobs cancel --type export-data --status pending
    """
    _act("cancel", actions.cancel, options)


@jobs.command("delete")
@_on_jobs
def delete_jobs(**options: Any) -> None:
    r"""Delete completed, cancelled or dead jobs for good.

    Only the audit log still says that they existed.

    \b
    Examples:
      flask jobs delete 5f0c
      flask jobs delete --status completed --older-than 30d
    """
    _act("delete", actions.delete, options)


def _act(action: Action, act: Callable[..., Done], options: dict[str, Any]) -> None:
    """Preview, ask, act and report; exit code 1 if a job that was named did not change."""
    by, sure, machine = (options.pop(name) for name in ("by", "yes", "as_json"))
    wanted = Filter(**options)
    if not sure and (action == "delete" or not wanted.job_ids):
        _ask(action, wanted)
    done = act(wanted, by=by)
    click.echo(json.dumps(asdict(done)) if machine else _report(done))
    for reason in done.refused:
        click.echo(f"Not retried: {reason}", err=True)
    missed = len(wanted.job_ids) - done.count
    if done.refused and missed <= len(done.refused):
        sys.exit(FAILED)
    if done.count < len(wanted.job_ids):
        missed -= len(done.refused)
        do = "does" if missed == 1 else "do"
        click.echo(
            f"{missed} of the given jobs {do} not exist or cannot be {_PAST[action]} now", err=True
        )
        sys.exit(FAILED)


def _ask(action: Action, wanted: Filter) -> None:
    counts = actions.preview(action, wanted)
    if not counts:
        return
    found = ", ".join(f"{count} {status}" for status, count in counts.items())
    confirm(f"{action.capitalize()} {_jobs(sum(counts.values()))} ({found})?")


def _report(done: Done) -> str:
    parts = [f"{_PAST[done.action].capitalize()} {_jobs(done.count)}"]
    if done.asked:
        parts.append(f"{done.asked} still running, asked to stop")
    if done.waiting:
        parts.append(f"QStash cannot be reached, the next sweep will publish {done.waiting}")
    return "; ".join(parts)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"
