"""A graceful stop: new deliveries are refused, running handlers get the grace period.

Handlers that are still running after it are interrupted: their work rolls back, and their jobs are
pending again and published again, so that the attempt costs no retry.
"""

import logging
import signal
from collections.abc import Callable
from threading import Event, Timer
from types import FrameType
from typing import Any

from .. import deadline, recycling
from ..errors import ShuttingDown

log = logging.getLogger(__name__)

#: Set once this process is to stop.
draining = Event()


def begin(grace: float) -> None:
    """Start the grace period, of this many seconds."""
    if not draining.is_set():
        draining.set()
        timer = Timer(grace, _interrupt)
        timer.daemon = True
        timer.start()


def at_sigterm(grace: float) -> None:
    """Start it when the process gets SIGTERM, then call the handler that was installed before.

    For a worker of a server that replaces workers that end: from here on the process ends when it
    can no longer be trusted (see `recycling`).
    """
    recycling.allow(begin)
    previous: Any = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        begin(grace)
        _call(previous, number, frame)

    signal.signal(signal.SIGTERM, handle)


def _call(handler: Callable[[int, FrameType | None], Any] | Any, *args: Any) -> None:
    if callable(handler):
        handler(*args)


def _interrupt() -> None:
    interrupted = deadline.interrupt_all(ShuttingDown)
    if interrupted:
        log.warning("[jobs] Grace period over", extra={"interrupted": interrupted})
