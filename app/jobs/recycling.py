"""Ends a process that can no longer be trusted, so that its server starts another.

A handler that cannot be stopped, or a database that has fallen silent, holds a thread for ever,
and perhaps locks that the others need. Nothing here takes such a lock but the line that is logged
at the beginning, in a separate thread: the rest has to work whatever hangs.
"""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from threading import Thread
from time import sleep

log = logging.getLogger(__name__)

#: The exit code; 3 and 4 would make gunicorn give up altogether.
EXIT_CODE = 1
#: Seconds after which the process ends, even if its server does not end it.
LAST_CALL = 60.0


class _Recycling:
    """Whether `at_sigterm` allowed it, and its progress."""

    def __init__(self) -> None:
        self.stop: Callable[[float], None] | None = None
        self.has_begun = False


_state = _Recycling()


def allow(stop: Callable[[float], None]) -> None:
    """Declare that a server starts another process when this one ends.

    Args:
        stop: Has the handlers stop that run, after a grace period of this many seconds.
    """
    _state.stop = stop


def begin(about: str, thread_id: int, *, seconds: float) -> None:
    """Log what hangs, and have the process stop as at a deployment.

    Where nobody starts another process, it is only said.

    Args:
        about: What hangs.
        thread_id: Its thread.
        seconds: The time after which `end` is called if it hangs still.
    """
    if _state.has_begun:
        return
    _state.has_begun = _state.stop is not None
    Thread(target=_say, args=(about, thread_id, seconds), daemon=True).start()
    if _state.stop is not None:
        Thread(target=_end_at_last, args=(about,), daemon=True).start()
        _state.stop(seconds / 2)
        os.kill(os.getpid(), signal.SIGTERM)


def end(about: str) -> None:
    """End the process at once, if a server starts another."""
    if _state.stop is not None:
        os.write(2, f"[jobs] Process {os.getpid()} ended: {about} could not be stopped\n".encode())
        os._exit(EXIT_CODE)


def _end_at_last(about: str) -> None:
    sleep(LAST_CALL)
    end(about)


def _say(about: str, thread_id: int, seconds: float) -> None:
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - public in the docs
    stack = "".join(traceback.format_stack(frame)) if frame else ""
    then = f"the process stops, at the latest in {seconds:.0f} s" if _state.stop is not None else ""
    log.critical("[jobs] Cannot be stopped", extra={"what": about, "then": then, "stack": stack})
