"""`flask jobs sweep`: maintenance by hand, by cron, or without end."""

import signal
import sys
from dataclasses import asdict
from threading import Event

import click
from flask import json

from app.jobs import maintenance
from app.jobs.cli.durations import Duration
from app.jobs.cli.group import FAILED, as_json, jobs
from app.jobs.errors import DatabaseUnavailable
from app.jobs.maintenance import GRACE, Report


@jobs.command("sweep")
@click.option("--every", type=Duration(), help='Sweep again and again, such as every "30s".')
@click.option(
    "--grace",
    type=Duration(),
    default=f"{GRACE:g}s",
    show_default=True,
    help="Leave alone what changed, or whose lease ran out, more recently.",
)
@as_json
def sweep_jobs(every: int | None, grace: int, as_json: bool) -> None:
    """Publish what was left behind, rescue what died, take over what QStash gave up.

    Safe to run at any time, also many times at once. Exit code 1 if QStash could not be reached.
    """
    if every is not None:
        _sweep_until_stopped(every, grace, as_json=as_json)
        return
    report = maintenance.sweep(grace=grace)
    _say(report, as_json=as_json)
    sys.exit(FAILED if report.problem else 0)


def _sweep_until_stopped(every: int, grace: int, *, as_json: bool) -> None:
    """Sweep until SIGTERM or Ctrl-C; an outage is said and waited out."""
    stopped = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    while not stopped.is_set():
        try:
            _say(maintenance.sweep(grace=grace), as_json=as_json)
        except DatabaseUnavailable as error:
            click.echo(f"Error: {error}", err=True)
        stopped.wait(max(1, every))


def _say(report: Report, *, as_json: bool) -> None:
    click.echo(json.dumps(asdict(report)) if as_json else report)
