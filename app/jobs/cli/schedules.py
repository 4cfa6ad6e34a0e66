"""`flask jobs schedules`: what QStash has, and making it match the code."""

from collections.abc import Callable
from typing import Any

import click

from .. import schedules
from ..enqueue import enqueuer
from ..operate import schedule_actions
from ..schedules import Change
from ..values import cron as crons
from . import formatting
from .group import CommandGroup, as_json, confirm, jobs, print_json, yes
from .params import JobType, Payload
from .publishing import given, publishing

#: How many firings are foretold.
RUNS = 3

group = CommandGroup("schedules", help="See, create, run, pause and delete QStash's schedules.")
jobs.add_command(group)

_schedule_id = click.argument("schedule_id", metavar="ID")


@group.command("list")
@as_json
def list_schedules(as_json: bool) -> None:
    """List the schedules that call this app, and when they fire next.

    Those that the code declares have ids with `code.` in front.
    """
    found = [_as_json(schedule) for schedule in schedules.installed()]
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("No schedules. `flask jobs schedules sync` makes those that the code declares.")
        return
    head = ("ID", "STATE", "CRON")
    lines = formatting.table([head, *((one["id"], one["state"], one["cron"]) for one in found)])
    first, *rest = lines.split("\n")
    click.echo(first)
    for line, one in zip(rest, found, strict=True):
        click.echo(f"{line}\n    {one['when']}{_next(one)}")


@group.command("sync")
@click.option("--dry-run", is_flag=True, help="Only say what would be changed.")
@click.option("--take-over", is_flag=True, help="Also those of this app that call elsewhere.")
@as_json
def sync_schedules(dry_run: bool, take_over: bool, as_json: bool) -> None:
    """Make QStash match the code: `@jobs.periodic` and the schedule for maintenance.

    Says what it will change before it does. Schedules from elsewhere are left alone.
    """
    changes = schedules.plan(take_over=take_over)
    if as_json:
        print_json([_change_as_json(change) for change in changes])
    else:
        click.echo("\n".join(map(str, changes)) or "QStash matches the code.")
    if not dry_run:
        schedules.apply(changes)


@group.command("create")
@click.argument("job_type", metavar="TYPE", type=JobType())
@click.argument("cron")
@click.argument("payload", type=Payload())
@publishing
@click.option("--id", "schedule_id", metavar="ID", help="Replaces the schedule that has it.")
@click.option("--timezone", metavar="NAME", help='Of the cron, such as "Europe/Berlin".')
@as_json
def create_schedule(
    job_type: str, cron: str, payload: Any, *, as_json: bool, **options: Any
) -> None:
    r"""Have QStash enqueue a job of TYPE with PAYLOAD again and again, and print the schedule's id.

    CRON is five fields: minute, hour, day of the month, month, day of the week. What the code
    declares with `@jobs.periodic` needs none of this; `schedules sync` installs it.

    \b
    Examples:
      flask jobs schedules create export-data '0 6 * * 1' @export.json --id weekly-export
      flask jobs schedules create generate-report '30 8 1 * *' @report.json --timezone Europe/Berlin
    """
    schedule_id = enqueuer.schedule(job_type, cron, payload, **given(options))
    found = _as_json(schedule_actions.find(schedule_id))
    if as_json:
        print_json(found)
        return
    click.echo(schedule_id)
    click.echo(f"    {found['when']}{_next(found)}", err=True)


@group.command("run")
@_schedule_id
@as_json
def run_schedule(schedule_id: str, as_json: bool) -> None:
    """Do now what a schedule's next firing would do; that comes all the same."""
    job_id = schedule_actions.run_now(schedule_actions.find(schedule_id))
    if as_json:
        print_json({"id": schedule_id, "job_id": job_id})
    elif job_id is None:
        click.echo("The maintenance is done.")
    else:
        click.echo(job_id)
        click.echo(f"Follow it with: flask jobs watch {job_id}", err=True)


@group.command("pause")
@_schedule_id
@as_json
def pause_schedule(schedule_id: str, as_json: bool) -> None:
    """Have a schedule not fire until it is resumed."""
    _change(schedule_id, schedule_actions.pause, "paused", machine=as_json)


@group.command("resume")
@_schedule_id
@as_json
def resume_schedule(schedule_id: str, as_json: bool) -> None:
    """Have a paused schedule fire again."""
    _change(schedule_id, schedule_actions.resume, "active", machine=as_json)


@group.command("delete")
@_schedule_id
@yes
@as_json
def delete_schedule(schedule_id: str, yes: bool, as_json: bool) -> None:
    """Delete a schedule at QStash; `sync` makes one again that the code declares."""
    schedule = schedule_actions.find(schedule_id)
    if not yes:
        confirm(f"Delete the schedule {schedule_id} ({crons.explain(schedule.cron)})?")
    _change(schedule_id, schedule_actions.delete, "deleted", machine=as_json)


def _change(schedule_id: str, change: Callable[[Any], None], state: str, *, machine: bool) -> None:
    change(schedule_actions.find(schedule_id))
    if machine:
        print_json({"id": schedule_id, "state": state})
    else:
        click.echo(f"{schedule_id} is {state}.")


def _as_json(schedule: Any) -> dict[str, Any]:
    return {
        "id": schedule.schedule_id,
        "cron": schedule.cron,
        "when": crons.explain(schedule.cron),
        "next": [run.isoformat() for run in crons.next_runs(schedule.cron, RUNS)],
        "destination": schedule.destination,
        "state": "paused" if schedule.paused else "active",
        "from_code": schedules.is_ours(schedule),
    }


def _next(one: dict[str, Any]) -> str:
    """Say when it fires next, in the schedule's own time zone."""
    if one["state"] == "paused" or not one["next"]:
        return ""
    runs = crons.next_runs(one["cron"], RUNS)
    times = [f"{run:%H:%M}" for run in runs]
    # The day stands where it is another than that of the run before.
    days = [None, *(run.date() for run in runs[:-1])]
    said = [
        time if run.date() == day else f"{run:%a %d %b} {time}"
        for run, day, time in zip(runs, days, times, strict=True)
    ]
    return f"\n    next: {', '.join(said)} {runs[0]:%Z}"


def _change_as_json(change: Change) -> dict[str, Any]:
    return {"action": change.action, "id": change.schedule_id, "cron": change.cron}
