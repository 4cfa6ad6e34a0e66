"""`flask jobs schedules`: what QStash has, and how to make it match the code."""

from datetime import datetime
from typing import Any

import click

from .. import schedules
from ..operate import schedule_actions, schedule_runs
from ..operate.schedule_runs import Run
from ..schedules import Change
from ..values import cron as crons
from . import formatting
from .group import CommandGroup, acting_as, as_json, confirm, jobs, print_json, yes
from .params import JobType, Payload
from .publishing import given, publishing, tags

#: How many of the next runs are shown, and of the last.
RUNS, LAST = 3, 20

#: What the rules are called in a line.
_WORDS = {
    "overlap": "overlap",
    "jitter": "jitter",
    "catchUp": "catch up",
    "expires": "expires after",
    "delay": "delay",
}

group = CommandGroup("schedules", help="List, create, run, pause and delete schedules at QStash.")
jobs.add_command(group)

_schedule_id = click.argument("schedule_id", metavar="ID")


@group.command("list")
@as_json
def list_schedules(as_json: bool) -> None:
    r"""List the schedules that call this app, with the job type that each runs and the next runs.

    Ids of schedules that are declared in code start with `code.`.

    \b
    Example:
      flask jobs schedules list --json | jq -r '.[].next[0]'
    """
    found = [_as_json(schedule) for schedule in schedules.installed()]
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("No schedules. `flask jobs schedules sync` creates those declared in code.")
        return
    head = ("ID", "TYPE", "STATE", "CRON")
    rows = [(one["id"], one["type"] or "-", one["state"], one["cron"]) for one in found]
    (first,), *rest = formatting.lines_of([head, *rows])
    click.echo(first)
    for lines, one in zip(rest, found, strict=True):
        click.echo("\n".join([*lines, f"    {one['when']}{_next(one)}"]))


@group.command("sync")
@click.option("--dry-run", is_flag=True, help="List the changes, but make none.")
@click.option(
    "--take-over", is_flag=True, help="Also change schedules of this app that call another URL."
)
@acting_as
@as_json
def sync_schedules(dry_run: bool, take_over: bool, by: str, as_json: bool) -> None:
    r"""Make QStash match the schedules that are declared in code.

    These are the ones of `@jobs.periodic` and the schedule of the sweep. It lists the changes
    before it makes them, and leaves other schedules alone.

    \b
    Example:
      flask jobs schedules sync --dry-run
    """
    changes = schedules.plan(take_over=take_over)
    if as_json:
        print_json([_change_as_json(change) for change in changes])
    else:
        click.echo("\n".join(map(str, changes)) or "QStash matches the code.")
    if not dry_run and changes:
        schedule_actions.sync(changes, by=by)


@group.command("create")
@click.argument("job_type", metavar="TYPE", type=JobType())
@click.argument("cron")
@click.argument("payload", type=Payload())
@publishing
@tags
@click.option(
    "--id", "schedule_id", metavar="ID", help="Id to use; replaces a schedule that has it."
)
@click.option("--timezone", metavar="NAME", help="Time zone of CRON, e.g. Europe/Berlin.")
@click.option(
    "--overlap",
    metavar="HOW",
    help="While a run before waits or runs: allow (the default), skip or queue.",
)
@click.option("--jitter", metavar="TIME", help="Put each run off by up to this time, e.g. 30s.")
@click.option(
    "--catch-up",
    metavar="WHICH",
    help="Make up for missed runs: none (the default), last or all.",
)
@acting_as
@as_json
def create_schedule(
    job_type: str, cron: str, payload: Any, *, by: str, as_json: bool, **options: Any
) -> None:
    r"""Create a schedule that enqueues a job of TYPE, and print its id.

    CRON has five fields: minute, hour, day of the month, month, day of the week. PAYLOAD is JSON,
    @FILE or @- for standard input. To declare a schedule in code, use `@jobs.periodic` and
    `flask jobs schedules sync` instead.

    \b
    Examples:
      flask jobs schedules create export-data '0 6 * * 1' @export.json --id weekly-export
      flask jobs schedules create generate-report '30 8 1 * *' @report.json --timezone Europe/Berlin
      flask jobs schedules create export-data '*/5 * * * *' @export.json --overlap skip --jitter 30s
    """
    schedule_id = schedule_actions.create(job_type, cron, payload, by=by, **given(options))
    found = _as_json(schedule_actions.find_schedule(schedule_id))
    if as_json:
        print_json(found)
        return
    click.echo(schedule_id)
    click.echo(f"    {found['when']}{_next(found)}", err=True)


@group.command("runs")
@_schedule_id
@click.option("--limit", type=click.IntRange(1, 500), default=LAST, help="How many, at most.")
@as_json
def list_runs(schedule_id: str, limit: int, as_json: bool) -> None:
    r"""List the last runs of a schedule, with those that were skipped or missed, and why.

    \b
    Example:
      flask jobs schedules runs weekly-export
    """
    schedule = schedule_actions.find_schedule(schedule_id)
    found = schedule_runs.last_runs(schedule.schedule_id, limit)
    if as_json:
        print_json([_run_as_json(run) for run in found])
        return
    if not found:
        click.echo("No runs so far.")
        return
    head = ("DUE", "OUTCOME", "STATUS", "JOB OR REASON")
    rows = [
        (
            formatting.time(run.at),
            run.outcome,
            run.job.status if run.job else "-",
            run.job.job_id if run.job else str(run.reason),
        )
        for run in found
    ]
    click.echo(formatting.table([head, *rows]))


@group.command("run")
@_schedule_id
@acting_as
@as_json
def run_schedule(schedule_id: str, by: str, as_json: bool) -> None:
    r"""Run a schedule now; its regular runs stay as they are.

    \b
    Example:
      flask jobs schedules run weekly-export
    """
    schedule = schedule_actions.find_schedule(schedule_id)
    job_id = schedule_actions.run_now(schedule, by=by)
    if as_json:
        print_json({"id": schedule_id, "job_id": job_id})
    elif job_id is None:
        click.echo("Sweep finished.")
    else:
        click.echo(job_id)
        click.echo(f"Next: flask jobs watch {job_id}", err=True)


@group.command("pause")
@_schedule_id
@acting_as
@as_json
def pause_schedule(schedule_id: str, by: str, as_json: bool) -> None:
    r"""Pause a schedule until it is resumed.

    \b
    Example:
      flask jobs schedules pause weekly-export
    """
    _change(schedule_id, "pause", "paused", by=by, machine=as_json)


@group.command("resume")
@_schedule_id
@acting_as
@as_json
def resume_schedule(schedule_id: str, by: str, as_json: bool) -> None:
    r"""Resume a paused schedule.

    \b
    Example:
      flask jobs schedules resume weekly-export
    """
    _change(schedule_id, "resume", "active", by=by, machine=as_json)


@group.command("delete")
@_schedule_id
@acting_as
@yes
@as_json
def delete_schedule(schedule_id: str, by: str, yes: bool, as_json: bool) -> None:
    r"""Delete a schedule at QStash.

    The next `flask jobs schedules sync` creates it again if it is declared in code.

    \b
    Example:
      flask jobs schedules delete weekly-export
    """
    schedule = schedule_actions.find_schedule(schedule_id)
    if not yes:
        confirm(f"Delete schedule {schedule_id} ({crons.explain(schedule.cron)})?")
    _change(schedule_id, "delete", "deleted", by=by, machine=as_json)


def _change(schedule_id: str, action: str, state: str, *, by: str, machine: bool) -> None:
    schedule = schedule_actions.find_schedule(schedule_id)
    getattr(schedule_actions, action)(schedule, by=by)
    if machine:
        print_json({"id": schedule_id, "state": state})
    else:
        click.echo(f"{schedule_id} is {state}.")


def _as_json(schedule: Any) -> dict[str, Any]:
    return {
        "id": schedule.schedule_id,
        "type": schedule_actions.type_of(schedule),
        "cron": schedule.cron,
        "when": crons.explain(schedule.cron),
        "next": [run.isoformat() for run in schedule_runs.next_runs(schedule, RUNS)],
        "rules": schedule_runs.rules_of(schedule).given,
        "destination": schedule.destination,
        "state": "paused" if schedule.paused else "active",
        "tags": list(schedule_actions.tags_of(schedule)),
        "from_code": schedules.is_ours(schedule),
    }


def _run_as_json(run: Run) -> dict[str, Any]:
    return {
        "scheduled_for": run.at.isoformat(),
        "outcome": run.outcome,
        "job_id": run.job.job_id if run.job else None,
        "status": run.job.status if run.job else None,
        "made_up_by": run.made_up_by,
        "reason": run.reason,
    }


def _next(one: dict[str, Any]) -> str:
    """Format the rules, and the next runs in the schedule's own time zone."""
    ruled = "".join(
        f", {_WORDS[name]} {f'{value} s' if isinstance(value, int) else value}"
        for name, value in one["rules"].items()
    )
    if one["state"] == "paused" or not one["next"]:
        return ruled
    due = crons.next_runs(one["cron"], RUNS)
    runs = [
        datetime.fromisoformat(run).astimezone(moment.tzinfo)
        for run, moment in zip(one["next"], due, strict=True)
    ]
    form = "%H:%M:%S" if "jitter" in one["rules"] else "%H:%M"
    times = [run.strftime(form) for run in runs]
    # The day stands where it is another than that of the run before.
    days = [None, *(run.date() for run in runs[:-1])]
    said = [
        time if run.date() == day else f"{run:%a %d %b} {time}"
        for run, day, time in zip(runs, days, times, strict=True)
    ]
    return f"{ruled}\n    next: {', '.join(said)} {runs[0]:%Z}"


def _change_as_json(change: Change) -> dict[str, Any]:
    return {"action": change.action, "id": change.schedule_id, "cron": change.cron}
