"""`flask jobs batches`: jobs that belong together, as one."""

import sys
from dataclasses import asdict
from time import monotonic, sleep
from typing import Any

import click
from flask import json

from ..operate import batches
from ..operate.actions import Done
from ..operate.batches import Summary
from ..table import audit
from ..table.beginnings import SHORTEST
from ..values.ids import is_uuid
from . import formatting
from .formatting import painted
from .group import FAILED, CommandGroup, Refused, as_json, confirm, jobs, limit, print_json, yes
from .params import Duration

POLL_SECONDS = 0.3
#: How many are named where more than one fits.
NAMED = 5

group = CommandGroup("batches", help="List, watch, cancel and retry batches of jobs.")
jobs.add_command(group)


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
_by = click.option(
    "--by",
    default=audit.current_account,
    metavar="NAME",
    help="Name for the audit log.  [default: the account you are logged in as]",
)


@group.command("list")
@click.option("--state", type=click.Choice(batches.STATES), help="Only batches in this state.")
@limit
@as_json
def list_batches(state: str | None, limit: int, as_json: bool) -> None:
    r"""List batches, newest first.

    \b
    Examples:
      flask jobs batches list
      flask jobs batches list --state failed --json
    """
    found = batches.newest(state=state, limit=limit)
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    click.echo(painted(_table(found)) if found else "No batches.")


@group.command("show")
@_id
@as_json
def show_batch(batch_id: str, as_json: bool) -> None:
    r"""Show one batch: how many of its jobs have ended, and how.

    `flask jobs list --batch ID` lists its jobs, and what follows its end.

    \b
    Examples:
      flask jobs batches show 5f0c
    """
    found = batches.find(batch_id)
    if as_json:
        print_json(_as_json(found))
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


@group.command("watch")
@_id
@click.option(
    "--timeout", type=Duration(), help="Give up after this time, e.g. 90 or 5m (exit code 1)."
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each change.")
def watch_batch(batch_id: str, timeout: int | None, as_json: bool) -> None:
    r"""Follow a batch to its end, with a line for each change.

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
        click.echo(f"stopped watching after {timeout:g} s; the batch continues", err=True)
    sys.exit(0 if found.state == "completed" else FAILED)


@group.command("cancel")
@_id
@_by
@yes
@as_json
def cancel_batch(batch_id: str, by: str, yes: bool, as_json: bool) -> None:
    r"""Cancel a batch: its waiting jobs never begin, running ones are asked to stop.

    \b
    Examples:
      flask jobs batches cancel 5f0c
    """
    found = batches.find(batch_id)
    if not yes:
        confirm(f"Cancel the batch {found.name!r} ({_counts(found)})?")
    _report(batches.cancel(batch_id, by=by), "Cancelled", as_json=as_json)


@group.command("retry")
@_id
@_by
@as_json
def retry_batch(batch_id: str, by: str, as_json: bool) -> None:
    r"""Retry a batch's dead jobs, with all their retries again.

    \b
    Examples:
      flask jobs batches retry 5f0c
    """
    _report(batches.retry(batch_id, by=by), "Retried", as_json=as_json)


def _report(done: Done, did: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    count = "1 job" if done.count == 1 else f"{done.count:,} jobs"
    asked = f"; {done.asked} still running, asked to stop" if done.asked else ""
    click.echo(f"{did} {count}{asked}")


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


def _line(found: Summary) -> str:
    return f"{found.name}: {found.state}  {found.percent} %  {_counts(found)}"


def _counts(found: Summary) -> str:
    counts = {"completed": found.completed, "waiting": found.pending}
    counts |= {"dead": found.dead, "cancelled": found.cancelled}
    said = [f"{count:,} {name}" for name, count in counts.items() if count]
    return f"{', '.join(said) or 'none'} of {found.jobs:,}"


def _as_json(found: Summary) -> dict[str, Any]:
    counted = {"completed": found.completed, "percent": found.percent}
    return {**asdict(found), **counted}
