"""A graceful stop: new deliveries are sent back, running handlers get the grace period.

What is still running after that is interrupted: its work rolls back, and the job is pending again
and published anew, so that the attempt costs none of its retries.
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

#: Set once this process was told to stop.
draining = Event()


def begin(grace: float) -> None:
    """Start the grace period, of so many seconds."""
    if not draining.is_set():
        draining.set()
        timer = Timer(grace, _interrupt)
        timer.daemon = True
        timer.start()


def at_sigterm(grace: float) -> None:
    """Begin when the process gets SIGTERM, before what is installed for it already.

    For the process of a server that starts another when one ends: from here on it is ended when it
    cannot be trusted any more (see `recycling`).
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
