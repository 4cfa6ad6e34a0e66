"""`flask jobs pause`, `resume` and `paused`."""

from collections.abc import Callable
from typing import Any

import click

from ..operate import pauses
from ..operate.pauses import CAP, Held, Kind
from . import formatting
from .group import Refused, acting_as, as_json, confirm, jobs, print_json, yes
from .params import JobType

_OPTIONS = (
    click.argument("type", metavar="[TYPE]", required=False, type=JobType(recorded=True)),
    click.option("--queue", metavar="NAME", help="A queue instead of a job type."),
    click.option("--key", metavar="KEY", help="A flow-control key instead."),
    click.option("--organization", metavar="ID", help="An organization instead."),
    acting_as,
    yes,
    as_json,
)


def _on_one(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@jobs.command("pause")
@click.option("--reason", required=True, metavar="TEXT", help="Why; others will read it.")
@_on_one
def pause_jobs(*, reason: str, by: str, yes: bool, as_json: bool, **named: str | None) -> None:
    r"""Pause a job type, a queue, a flow-control key or an organization.

    Its jobs are accepted and wait, without losing a retry, until `flask jobs resume`. Those that
    run by now run to their end.

    \b
    Examples:
      flask jobs pause send-email --reason "Resend is down"
      flask jobs pause --organization 42 --reason "their import runs wild" --yes
    """
    kind, name = _named(named)
    if not yes:
        confirm(f"Pause {kind} {name}?")
    held = pauses.pause(kind, name, reason=reason, by=by)
    if as_json:
        print_json(_as_json(held))
    else:
        click.echo(f"Paused {kind} {held.pause.name}; waiting by now: {_count(held.waiting)}")


@jobs.command("resume")
@_on_one
def resume_jobs(*, by: str, yes: bool, as_json: bool, **named: str | None) -> None:
    r"""Resume what was paused, and publish the jobs that wait for it.

    \b
    Examples:
      flask jobs resume send-email
      flask jobs resume --queue reports --yes
    """
    kind, name = _named(named)
    waiting = {one.pause.id: one.waiting for one in pauses.paused()}.get(f"{kind}:{name}", 0)
    if waiting and not yes:
        confirm(f"Resume {kind} {name} and publish {_jobs(waiting)}?")
    done = pauses.resume(kind, name, by=by)
    if as_json:
        print_json({"kind": kind, "name": name, "published": done.published, "left": done.left})
        return
    left = f"; the next sweeps publish {_count(done.left)} more" if done.left else ""
    click.echo(f"Resumed {kind} {name}; published {_jobs(done.published)}{left}")


@jobs.command("paused")
@as_json
def list_paused(*, as_json: bool) -> None:
    r"""List what is paused, by whom, why, and how many jobs wait for it.

    \b
    Examples:
      flask jobs paused
      flask jobs paused --json | jq '.[].name'
    """
    found = pauses.paused()
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    if not found:
        click.echo("Nothing is paused.")
        return
    lines = [
        (one.pause.kind, one.pause.name, _count(one.waiting), *_begun(one.pause)) for one in found
    ]
    head = ("PAUSED", "NAME", "WAITING", "SINCE", "BY")
    reasons = ["REASON", *(one.pause.reason for one in found)]
    click.echo(formatting.described([head, *lines], reasons, shrink=(1,)))


def _named(given: dict[str, str | None]) -> tuple[Kind, str]:
    """Return what is named.

    Raises:
        Refused: Nothing is, or several things are.
    """
    found = [(Kind(kind), name) for kind, name in given.items() if name is not None]
    if len(found) != 1:
        count = "nothing" if not found else "several things"
        raise Refused(
            f"{count} named: give one job type, or one of --queue, --key and --organization"
        )
    return found[0]


def _begun(pause: pauses.Pause) -> tuple[str, str]:
    return formatting.time(pause.since), pause.by


def _as_json(held: Held) -> dict[str, Any]:
    one = held.pause
    return {
        "kind": one.kind,
        "name": one.name,
        "reason": one.reason,
        "by": one.by,
        "since": one.since.isoformat(),
        "waiting": held.waiting,
        "oldest": held.oldest.isoformat() if held.oldest else None,
    }


def _count(jobs: int) -> str:
    return f"{jobs:,}" if jobs < CAP else f"at least {CAP:,}"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{_count(count)} jobs"
