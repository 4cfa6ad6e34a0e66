"""`flask jobs sweep` and `reconcile`: maintenance by hand, by cron, or without end."""

import logging
import signal
import sys
from dataclasses import asdict
from threading import Event

import click
from flask import json

from ..errors import DatabaseUnavailable
from ..recover import sweep
from ..recover.sweep import Report
from .group import FAILED, as_json, jobs
from .params import Duration, grace

log = logging.getLogger(__name__)


@jobs.command("sweep")
@click.option("--every", type=Duration(), help='Sweep again and again, such as every "30s".')
@grace
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
