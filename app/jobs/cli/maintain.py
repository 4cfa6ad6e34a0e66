"""`flask jobs sweep` and `reconcile`: maintenance by hand, by cron, or without end."""

import logging
import signal
import sys
from dataclasses import asdict
from threading import Event
from typing import Any

import click
from flask import json

from ..errors import DatabaseUnavailable
from ..operate import reconcile
from ..operate.reconcile import Difference
from ..recover import sweep
from ..recover.sweep import GRACE, Report
from .durations import Duration
from .group import FAILED, as_json, jobs, print_json

log = logging.getLogger(__name__)

_grace = click.option(
    "--grace",
    type=Duration(),
    default=f"{GRACE:g}s",
    show_default=True,
    help="Leave alone what changed, or whose lease ran out, more recently.",
)


@jobs.command("sweep")
@click.option("--every", type=Duration(), help='Sweep again and again, such as every "30s".')
@_grace
@as_json
def sweep_jobs(every: int | None, grace: int, as_json: bool) -> None:
    """Publish what was left behind, rescue what died, take over what QStash gave up.

    Safe to run at any time, also many times at once. Exit code 1 if something could not
    be seen to: the last line and the log say what.
    """
    if every is not None:
        _sweep_until_stopped(every, grace, as_json=as_json)
        return
    report = sweep.sweep(grace=grace)
    _say(report, as_json=as_json)
    sys.exit(0 if report.is_clean else FAILED)


@jobs.command("reconcile")
@click.option("--dry-run", is_flag=True, help="Only list the differences and their repairs.")
@_grace
@as_json
def reconcile_jobs(dry_run: bool, grace: int, as_json: bool) -> None:
    """Compare the table with QStash both ways, and repair what differs.

    For after an outage or a restored backup: it asks QStash once per waiting job. Exit code 1 if
    differences are left.
    """
    results = []
    for difference in reconcile.differences(grace=grace):
        mended = not dry_run and difference.mend is not None and difference.mend()
        results.append((difference, mended))
        if not as_json:
            click.echo(_line(difference, mended=mended))
    if as_json:
        print_json([_as_json(difference, mended=mended) for difference, mended in results])
    elif not results:
        click.echo("No differences.")
    sys.exit(0 if all(mended for _, mended in results) else FAILED)


def _sweep_until_stopped(every: int, grace: int, *, as_json: bool) -> None:
    """Sweep until SIGTERM or Ctrl-C; whatever goes wrong is said and waited out."""
    stopped = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    while not stopped.is_set():
        try:
            _say(sweep.sweep(grace=grace), as_json=as_json)
        except DatabaseUnavailable as error:
            click.echo(f"Error: {error}", err=True)
        except Exception as error:
            # Whatever is wrong, the next sweep may find it mended; without this command none comes.
            log.exception("[jobs] Sweep failed")
            click.echo(f"Error: {type(error).__name__}: {error}", err=True)
        stopped.wait(max(1, every))


def _say(report: Report, *, as_json: bool) -> None:
    click.echo(json.dumps(asdict(report)) if as_json else report)


def _line(difference: Difference, *, mended: bool) -> str:
    done = "done" if mended else "not done"
    return f"{difference.subject}  {difference.found}  →  {difference.repair} ({done})"


def _as_json(difference: Difference, *, mended: bool) -> dict[str, Any]:
    names = ("kind", "subject", "found", "repair")
    return {**{name: getattr(difference, name) for name in names}, "mended": mended}
