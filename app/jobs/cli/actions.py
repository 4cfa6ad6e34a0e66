"""`flask jobs retry`, `cancel` and `delete`: what people do to jobs by hand."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
from flask import json

from ..operate import actions
from ..operate.actions import Action, Done
from ..table import audit
from ..table.filters import Filter
from .group import FAILED, as_json, confirm, jobs, yes
from .params import JobId, filtered

_OPTIONS = (
    click.argument("job_ids", metavar="[ID]...", nargs=-1, type=JobId()),
    filtered,
    click.option("--all", "everything", is_flag=True, help="Without any condition."),
    click.option("--by", default=audit.current_account, help="Who does it, for the record."),
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
    r"""Put failed or cancelled jobs back, to run again with all their retries.

    \b
    Examples:
      flask jobs retry 5f0c…
      flask jobs retry --dead --type send-email --error "rate limit" --newer-than 2h
    """
    _act("retry", actions.retry, options)


@jobs.command("cancel")
@_on_jobs
def cancel_jobs(**options: Any) -> None:
    """Call jobs off; those that run are asked to stop."""
    _act("cancel", actions.cancel, options)


@jobs.command("delete")
@_on_jobs
def delete_jobs(**options: Any) -> None:
    """Delete completed, cancelled or dead jobs, and with them the knowledge that they ran."""
    _act("delete", actions.delete, options)


def _act(action: Action, act: Callable[..., Done], options: dict[str, Any]) -> None:
    """Preview, ask, act and say what was done; exit code 1 where a named job was not changed."""
    by, sure, machine = (options.pop(name) for name in ("by", "yes", "as_json"))
    wanted = Filter(**options)
    if not sure and (action == "delete" or not wanted.job_ids):
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
    confirm(f"{action.capitalize()} {_jobs(sum(counts.values()))} ({found})?")


def _said(done: Done) -> str:
    parts = [f"{done.action}: {_jobs(done.count)}"]
    if done.asked:
        parts.append(f"{done.asked} of them running, asked to stop")
    if done.waiting:
        parts.append(f"QStash cannot be reached: {done.waiting} will be published by the sweep")
    return "; ".join(parts)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"
