"""A sweep every few seconds in the app's own process: for development, where nothing else runs it.

In production a schedule of QStash's (`flask jobs schedules sync`) or `flask jobs sweep --every 30s`
does it once for all processes.
"""

import logging
from threading import Event, Lock, Thread

from flask import Flask

from . import sweep

log = logging.getLogger(__name__)


class Timer:
    """Starts with the first request, so that a process that was forked has its own."""

    def __init__(self, app: Flask, every: float) -> None:
        self._app = app
        self._every = every
        self._lock = Lock()
        self._thread: Thread | None = None
        self._stopped = Event()

    def start(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="jobs-sweep", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            with self._app.app_context():
                try:
                    sweep.sweep()
                except Exception:
                    # Whatever is wrong may be fixed by the time of the next sweep.
                    log.exception("[jobs] Sweep failed")


def init_app(app: Flask) -> None:
    """Sweep every JOBS_SWEEP_EVERY seconds; 0 is never."""
    if app.config["JOBS_SWEEP_EVERY"] > 0:
        timer = Timer(app, app.config["JOBS_SWEEP_EVERY"])
        app.extensions["jobs.timer"] = timer
        app.before_request(timer.start)
