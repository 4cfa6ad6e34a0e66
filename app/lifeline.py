"""Processes that end with the one that started them, however that ends.

Each holds an end of a pipe, which is closed when that one stops, or is killed. Its children could
be told, but not theirs: Werkzeug's reloader runs the app in a process of its own, and leaves that
behind where it is stopped while it starts it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

Process = subprocess.Popen[str]

#: Names the pipe, as a file descriptor and its inode.
VARIABLE = "JOBS_LIFELINE"
#: Seconds that a process gets to end by itself.
PATIENCE = 10


def hold() -> None:
    """Have this process end with the one that `VARIABLE` tells of, if any."""
    with suppress(OSError, ValueError):
        descriptor, _, inode = os.environ.get(VARIABLE, "").partition(":")
        if os.fstat(int(descriptor)).st_ino == int(inode):
            threading.Thread(target=_await_end, args=(int(descriptor),), daemon=True).start()


def _await_end(descriptor: int) -> None:
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)


class Processes:
    """Processes that end with this one, with all `flask` commands that they start."""

    def __init__(self) -> None:
        self._started: list[Process] = []
        self._theirs, self._ours = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End them all; at a Ctrl-C or a signal, so does this process, with 0."""
        try:
            os.close(self._ours)
            # At a Ctrl-C the terminal has told them already.
            for process in reversed(self._started):
                process.terminate()
            for process in self._started:
                process.wait()
        except KeyboardInterrupt:  # a second one
            for process in self._started:
                process.kill()
        if kind is KeyboardInterrupt:
            sys.exit(0)

    def start(
        self,
        command: list[str],
        more: Mapping[str, str] | None = None,
        *,
        inherits: Sequence[int] = (),
        **options: Any,
    ) -> Process:
        """Start one; `more` is added to its environment, `inherits` are open file descriptors."""
        lifeline = f"{self._theirs}:{os.fstat(self._theirs).st_ino}"
        environment = {**os.environ, **(more or {}), VARIABLE: lifeline}
        process = subprocess.Popen(  # noqa: S603 - ours
            command, env=environment, pass_fds=[self._theirs, *inherits], text=True, **options
        )
        self._started.append(process)
        return process

    def first_end(self) -> int:
        """Wait until one of them ends, and return its exit code."""
        ended = threading.Event()

        def wait(process: Process) -> None:
            process.wait()
            ended.set()

        for process in self._started:
            threading.Thread(target=wait, args=(process,), daemon=True).start()
        ended.wait()
        return next((one.returncode for one in self._started if one.returncode is not None), 0)
