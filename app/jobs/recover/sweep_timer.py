"""Sweeps in the app's own processes, which cost no message: often with traffic, rarely without.

The processes of an app take turns by a mark in the database, so that any number of them sweep as
often as one. Where no process lives between requests, the schedule of QStash's that
`flask jobs schedules sync` installs sweeps, and any request that wakes one.
"""

import logging
from threading import Event, Lock, Thread
from time import monotonic

from flask import Flask

from ..errors import DatabaseUnavailable
from ..table import sweep_sql
from ..table.db import in_transaction
from . import sweep

log = logging.getLogger(__name__)

#: Seconds between sweeps at most, when there is no traffic and no job waits for anything.
LONGEST_PAUSE = 300.0
#: A turn is over a little before its time, so that the process that had it may have it again.
SLACK = 0.9


class Timer:
    """Starts with the first request, so that a process that was forked has its own."""

    def __init__(self, app: Flask, every: float) -> None:
        self._app = app
        self._every = every
        self._lock = Lock()
        self._thread: Thread | None = None
        self._woken = Event()
        self._stopped = False
        self._had_traffic = False
        self._due = monotonic() + every

    def on_request(self) -> None:
        """Note that there is traffic; a sweep that was put off for want of it is due again."""
        self._had_traffic = True
        if self._thread is None:
            self._start()
        elif monotonic() >= self._due:
            self._woken.set()

    def stop(self) -> None:
        self._stopped = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="jobs-sweep", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = self._every
        while True:
            self._woken.wait(pause)
            self._woken.clear()
            if self._stopped:
                return
            had_traffic, self._had_traffic = self._had_traffic, False
            self._due = monotonic() + self._every
            is_quiet = self._swept_to_rest() and not had_traffic
            pause = min(2 * pause, max(LONGEST_PAUSE, self._every)) if is_quiet else self._every

    def _swept_to_rest(self) -> bool:
        """Sweep if it is this process's turn; tell whether no job waits for a sweep."""
        with self._app.app_context():
            try:
                sweep.in_turn(self._every * SLACK)
                return not in_transaction(lambda tx: tx.execute(sweep_sql.UNSETTLED).scalar_one())
            except DatabaseUnavailable as error:
                log.warning("[jobs] Sweep postponed", extra={"error": str(error)})
            except Exception:
                # Whatever is wrong may be fixed by the time of the next sweep.
                log.exception("[jobs] Sweep failed")
        return False


def init_app(app: Flask) -> None:
    """Sweep every JOBS_SWEEP_EVERY seconds; 0 is never."""
    if app.config["JOBS_SWEEP_EVERY"] > 0:
        timer = Timer(app, app.config["JOBS_SWEEP_EVERY"])
        app.extensions["jobs.timer"] = timer
        app.before_request(timer.on_request)
