"""`flask jobs sweep`: once, by cron, or until stopped."""

import logging
import signal
import sys
from dataclasses import asdict
from threading import Event

import click
from flask import json

from ..errors import DatabaseUnavailable
from ..recover import sweep
from ..recover.report import SweepReport
from ..table import audit
from .group import FAILED, acting_as, as_json, jobs
from .params import Duration, grace

log = logging.getLogger(__name__)


@jobs.command("sweep")
@click.option("--every", type=Duration(), help="Keep sweeping at this interval, e.g. 30s.")
@grace
@acting_as
@as_json
def sweep_jobs(every: int | None, grace: int, by: str, as_json: bool) -> None:
    r"""Repair what crashes and outages left behind.

    It publishes unpublished jobs, rescues those whose process died, and records those that QStash
    gave up on. Safe to run at any time, even several times at once. Exit code 1 if anything
    failed: the last line and the log say what. Once QStash's daily quota is used up, sweeps wait
    for its renewal; without --every, this asks QStash once, as after an upgrade of the plan.

    \b
    Examples:
      flask jobs sweep
      flask jobs sweep --every 30s
    """
    if every is not None:
        _sweep_until_stopped(every, grace, as_json=as_json)
        return
    audit.note("sweep", by=by, wanted={})
    report = sweep.sweep(grace=grace, asks=True)
    _say(report, as_json=as_json)
    sys.exit(0 if report.is_clean else FAILED)


def _sweep_until_stopped(every: int, grace: int, *, as_json: bool) -> None:
    """Sweep until SIGTERM or Ctrl-C; after an error, report it and try again."""
    stopped = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    while not stopped.is_set():
        try:
            _say(sweep.sweep(grace=grace), as_json=as_json)
        except DatabaseUnavailable as error:
            click.echo(f"Error: {error}", err=True)
        except Exception as error:
            # Whatever is wrong, the next sweep may succeed; without this command none comes.
            log.exception("[jobs] Sweep failed")
            click.echo(f"Error: {type(error).__name__}: {error}", err=True)
        stopped.wait(max(1, every))


def _say(report: SweepReport, *, as_json: bool) -> None:
    click.echo(json.dumps(asdict(report)) if as_json else report)
