"""`flask jobs schedules`: what QStash has, and making it match the code."""

from typing import Any

import click
from flask.cli import AppGroup

from app.jobs import schedules, show
from app.jobs.cli.group import as_json, jobs, print_json
from app.jobs.schedules import Change

group = AppGroup("schedules", help="List QStash's schedules, and make them match the code.")
jobs.add_command(group)


@group.command("list")
@as_json
def list_schedules(as_json: bool) -> None:
    """List the schedules that call this app; those from the code have ids with `code.` in front."""
    found = [_as_json(schedule) for schedule in schedules.installed()]
    if as_json:
        print_json(found)
        return
    head = ("ID", "CRON", "DESTINATION", "STATE")
    lines = [(one["id"], one["cron"], one["destination"], one["state"]) for one in found]
    click.echo(show.table([head, *lines]) if lines else "No schedules.")


@group.command("sync")
@click.option("--dry-run", is_flag=True, help="Only say what would be changed.")
@as_json
def sync_schedules(dry_run: bool, as_json: bool) -> None:
    """Make QStash match the code: `@jobs.periodic` and the schedule for maintenance.

    Says what it will change before it does. Schedules from elsewhere are left alone.
    """
    changes = schedules.plan()
    if as_json:
        print_json([_change_as_json(change) for change in changes])
    else:
        click.echo("\n".join(map(str, changes)) or "QStash matches the code.")
    if not dry_run:
        schedules.apply(changes)


def _as_json(schedule: Any) -> dict[str, Any]:
    return {
        "id": schedule.schedule_id,
        "cron": schedule.cron,
        "destination": schedule.destination,
        "state": "paused" if schedule.paused else "active",
        "from_code": schedules.is_ours(schedule),
    }


def _change_as_json(change: Change) -> dict[str, Any]:
    return {"action": change.action, "id": change.schedule_id, "cron": change.cron}
