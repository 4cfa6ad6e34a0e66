"""`flask jobs batches` and `workflows`: jobs that belong together, as one."""

import sys
from dataclasses import asdict
from datetime import datetime
from time import monotonic, sleep
from typing import Any

import click
from flask import json

from ..operate import batches
from ..operate.actions import Done
from ..operate.batches import BATCH, WORKFLOW, Retried, StepState, Summary
from ..table.beginnings import SHORTEST
from ..values.ids import is_uuid
from . import formatting
from .formatting import painted
from .group import (
    FAILED,
    CommandGroup,
    Refused,
    acting_as,
    as_json,
    confirm,
    jobs,
    limit,
    print_json,
    yes,
)
from .params import Duration

POLL_SECONDS = 0.3
#: How many are named where more than one fits.
NAMED = 5

group = CommandGroup("batches", help="List, watch, cancel and retry batches of jobs.")
workflows = CommandGroup("workflows", help="List, watch, cancel and retry workflows and chains.")
jobs.add_command(group)
jobs.add_command(workflows)


class BatchId(click.ParamType[str]):
    """A batch's id, or the first characters of it."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:  # noqa: ARG002 - click's signature
        given = str(value).strip().lower().rstrip("….")
        if is_uuid(given):
            return given
        if len(given) < SHORTEST or set(given) - set("0123456789abcdef-"):
            raise Refused(f"{value!r} is not the id of a batch, nor the first {SHORTEST} of it")
        found = batches.beginning(given, limit=NAMED + 1)
        if not found:
            raise Refused(
                f"no batch has the id {given}; `flask jobs batches list` shows the newest"
            )
        if len(found) > 1:
            named = ", ".join(found[:NAMED])
            raise Refused(f"{given} matches several batches: {named}; give more characters")
        return found[0]


_id = click.argument("batch_id", metavar="ID", type=BatchId())
_state = click.option(
    "--state", type=click.Choice(batches.STATES), help="Only those in this state."
)


@group.command("list")
@_state
@limit
@as_json
def list_batches(state: str | None, limit: int, as_json: bool) -> None:
    r"""List batches, newest first.

    \b
    Examples:
      flask jobs batches list
      flask jobs batches list --state failed --json
    """
    _list(batches.newest(kind=BATCH, state=state, limit=limit), "No batches.", as_json=as_json)


@workflows.command("list")
@_state
@limit
@as_json
def list_workflows(state: str | None, limit: int, as_json: bool) -> None:
    r"""List workflows and chains, newest first.

    \b
    Examples:
      flask jobs workflows list
      flask jobs workflows list --state failed --json
    """
    _list(batches.newest(kind=WORKFLOW, state=state, limit=limit), "No workflows.", as_json=as_json)


def _list(found: list[Summary], none: str, *, as_json: bool) -> None:
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    click.echo(painted(_table(found)) if found else none)


@group.command("show")
@_id
@as_json
def show_batch(batch_id: str, as_json: bool) -> None:
    r"""Show how many of the jobs have ended, and how, with a line for each step.

    `flask jobs list --batch ID` lists the jobs, and what follows the end.

    \b
    Examples:
      flask jobs batches show 5f0c
    """
    found, steps = batches.find(batch_id), batches.steps(batch_id)
    if as_json:
        print_json({**_as_json(found), "steps": [_plain(asdict(step)) for step in steps]})
        return
    lines = [
        ("ID", found.id),
        ("Name", found.name),
        ("State", found.state),
        ("Progress", f"{found.percent} %"),
        ("Jobs", _counts(found)),
        ("Created", formatting.time(found.created_at)),
        *([("Ended", formatting.time(found.ended_at))] if found.ended_at else []),
    ]
    click.echo(painted(formatting.table(lines)))
    if steps:
        click.echo()
        click.echo(painted(_steps(steps)))


@group.command("watch")
@_id
@click.option(
    "--timeout", type=Duration(), help="Give up after this time, e.g. 90 or 5m (exit code 1)."
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each change.")
def watch_batch(batch_id: str, timeout: int | None, as_json: bool) -> None:
    r"""Follow it to its end, with a line for each change.

    Exit code 0 if all of its jobs completed, otherwise 1.

    \b
    Examples:
      flask jobs batches watch 5f0c
      flask jobs batches watch 5f0c --json --timeout 10m | tail -n 1
    """
    give_up_at = monotonic() + timeout if timeout is not None else float("inf")
    seen: Summary | None = None
    while True:
        found = batches.find(batch_id)
        if found != seen:
            click.echo(json.dumps(_as_json(found)) if as_json else _line(found))
        seen = found
        if found.is_final or monotonic() >= give_up_at:
            break
        sleep(POLL_SECONDS)
    if not found.is_final:
        click.echo(f"stopped watching after {timeout:g} s; the {found.kind} continues", err=True)
    sys.exit(0 if found.state == "completed" else FAILED)


@group.command("cancel")
@_id
@acting_as
@yes
@as_json
def cancel_batch(batch_id: str, by: str, yes: bool, as_json: bool) -> None:
    r"""Cancel it: what has not begun never does, running jobs are asked to stop.

    \b
    Examples:
      flask jobs batches cancel 5f0c
    """
    found = batches.find(batch_id)
    if not yes:
        confirm(f"Cancel the {found.kind} {found.name!r} ({_counts(found)})?")
    _report(batches.cancel(batch_id, by=by), "Cancelled", as_json=as_json)


@group.command("retry")
@_id
@acting_as
@as_json
def retry_batch(batch_id: str, by: str, as_json: bool) -> None:
    r"""Retry its dead jobs, with all their retries again; what timed out waits once more.

    Cancelled jobs stay so: `flask jobs retry --batch ID --status cancelled`.

    \b
    Examples:
      flask jobs batches retry 5f0c
    """
    done = batches.retry(batch_id, by=by)
    _report(done, "Retried", as_json=as_json)
    if not (done.count or done.waits or done.refused or as_json):
        _tell_why_none(batches.find(batch_id))


for _command in (show_batch, watch_batch, cancel_batch, retry_batch):
    workflows.add_command(_command)


def _report(done: Done, did: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        count = "1 job" if done.count == 1 else f"{done.count:,} jobs"
        asked = f"; {done.asked} still running, asked to stop" if done.asked else ""
        waits = done.waits if isinstance(done, Retried) else 0
        again = f"; {waits:,} wait again for a signal" if waits else ""
        click.echo(f"{did} {count}{asked}{again}")
    for reason in done.refused:
        click.echo(f"Not retried: {reason}", err=True)
    if done.refused:
        sys.exit(FAILED)


def _tell_why_none(found: Summary) -> None:
    again = f"; to retry what was cancelled: flask jobs retry --batch {found.id} --status cancelled"
    click.echo(f"None of its jobs is dead{again if found.cancelled else ''}", err=True)


def _table(found: list[Summary]) -> str:
    lines = [("ID", "NAME", "STATE", "JOBS", "DONE", "DEAD", "AGE")]
    lines += [
        (
            *(one.id, one.name, one.state, f"{one.jobs:,}", f"{one.percent} %"),
            *(f"{one.dead:,}", formatting.age(one.created_at)),
        )
        for one in found
    ]
    return formatting.table(lines, shrink=(1,))


def _steps(steps: list[StepState]) -> str:
    lines = [("STEP", "STATE", "AFTER", "JOB", "WHAT")]
    lines += [
        (
            *(step.name, step.state, ", ".join(step.after), step.job_id or ""),
            step.job_type or f"waits for {step.event}",
        )
        for step in steps
    ]
    return formatting.table(lines, shrink=(2, 0))


def _line(found: Summary) -> str:
    return f"{found.name}: {found.state}  {found.percent} %  {_counts(found)}"


def _counts(found: Summary) -> str:
    counts = {"completed": found.completed, "waiting": found.pending}
    counts |= {"dead": found.dead, "cancelled": found.cancelled}
    said = [f"{count:,} {name}" for name, count in counts.items() if count]
    return f"{', '.join(said) or 'none'} of {found.jobs:,}"


def _as_json(found: Summary) -> dict[str, Any]:
    counted = {"completed": found.completed, "percent": found.percent}
    return _plain({**asdict(found), **counted})


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in found.items()
    }
