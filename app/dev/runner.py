"""Run several processes as one: ready before the next starts, one log, stopped together.

    with Runner(Console(sys.stdout)) as runner:
        runner.start("queue", [...], ready=says(r"running at"))
        runner.start("web", [...], ready=says(r"Listening at"))
        runner.wait()

Leaving the context stops everything in reverse order; so does Ctrl-C, SIGTERM, and even the death
of this process (see reaper.py).
"""

import json
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from socket import socket
from typing import IO, Any, Self, TypeVar

from click import ClickException

from app.dev.console import Console
from app.dev.reaper import ROOT, Reaper, stop_group

READY_SECONDS = 60
LINES_KEPT = 30
POLL_SECONDS = 0.2

H = TypeVar("H", IO[Any], socket)

Ready = Callable[["Process"], bool]


class RunnerError(ClickException):
    """A process ended unexpectedly, or was not ready in time; has its last lines."""


class Process:
    """A child process in its own group, whose output goes to the console, if any, line by line."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        console: Console | None,
        inherits: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._console = console
        self._popen = subprocess.Popen(  # noqa: S603 - our own commands, no shell
            argv,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=inherits,
            process_group=0,  # so that only we get Ctrl-C, and stop it in its turn
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def group(self) -> int:
        return self._popen.pid

    def exit_code(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._popen.poll()

    def join(self) -> int:
        """Wait for its end and its last line, and return its exit code."""
        code = self._popen.wait()
        self._reader.join(timeout=1)  # a grandchild may keep the pipe open
        return code

    def failure(self, what: str) -> RunnerError:
        """Describe a failure of this process, with its last lines."""
        self._reader.join(timeout=0.5)
        said = "\n".join(f"  {line}" for line in self.last_lines) or "  (nothing)"
        return RunnerError(f"{self.name} {what}. Its last lines:\n{said}")

    def _read(self) -> None:
        stdout = self._popen.stdout
        assert stdout is not None  # noqa: S101 - for mypy; it is a pipe
        with stdout:
            for raw in stdout:
                line = raw.decode(errors="replace").rstrip()
                self.last_lines.append(line)
                if self._console is not None:
                    self._console.line(self.name, line)


class Runner:
    """Starts processes in order and stops them in reverse, whatever happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._processes: list[Process] = []
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._reaper = Reaper().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        with self._held:
            self._end()

    def hold(self, resource: H) -> H:
        """Close a file or a socket when everything has stopped."""
        return self._held.enter_context(closing(resource))

    def _end(self) -> None:
        try:
            self._stop()
        except KeyboardInterrupt:  # a second Ctrl-C: no more patience
            for process in self._processes:
                stop_group(process.group, grace=0)
            self._stop()

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        ready: Ready | None = None,
        timeout: float = READY_SECONDS,
        inherits: Sequence[int] = (),
    ) -> Process:
        """Start a process, which gets the open files `inherits`, and return it once it is ready.

        Raises:
            RunnerError: it ended first, or was not ready within `timeout` seconds.
        """
        process = Process(name, argv, env=env, console=self._console, inherits=inherits)
        self._watch(process)
        if ready:
            _await_ready(process, ready, timeout)
        return process

    def run(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], doing: str) -> None:
        """Run a process to its end, with one line in the log: what it is doing.

        Raises:
            RunnerError: it did not exit with 0; has its last lines, which are not in the log.
        """
        self._console.line(name, doing)
        process = Process(name, argv, env=env, console=None)
        self._watch(process)
        code = process.join()
        self.forget(process)
        if code != 0:
            raise process.failure(f"failed with exit code {code}")

    def _watch(self, process: Process) -> None:
        self._processes.append(process)
        self._reaper.tell(f"group {process.group}")

    def forget(self, process: Process) -> None:
        """Stop watching a process that has ended."""
        self._processes.remove(process)
        self._reaper.tell(f"gone group {process.group}")

    def stop_postgres_at_exit(self, data_dir: Path) -> None:
        """Have a PostgreSQL server stopped after the processes that were started later."""
        self._reaper.tell(f"postgres {data_dir.absolute()}")

    def delete_at_exit(self, file: Path) -> None:
        """Have a file deleted before the processes that were started earlier are stopped."""
        self._reaper.tell(f"file {file.absolute()}")

    def wait(self) -> None:
        """Run until one process ends.

        Raises:
            RunnerError: always, when that happens.
        """
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

    def check(self, may_end: Process | None = None) -> None:
        """Raise RunnerError if a process has ended, other than `may_end`."""
        for process in self._processes:
            if process.exit_code() is not None and process is not may_end:
                raise process.failure(f"ended with exit code {process.exit_code()}")

    def _stop(self) -> None:
        self._reaper.begin()
        for process in reversed(self._processes):
            process.join()  # collected, or the reaper would think that it still runs
        self._reaper.__exit__()


def answers(url: str, instance: str) -> Ready:
    """Be ready when this instance's own process answers at `url`.

    Raises:
        RunnerError: Another instance's process answers.
    """

    def ready(process: Process) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own http address
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except (OSError, ValueError):
            return False
        if said.get("instance") != instance:
            raise process.failure(f"is not the process that answers at {url}")
        return True

    return ready


def says(pattern: str) -> Ready:
    """Be ready when one of its last lines matches."""
    return lambda process: any(re.search(pattern, line) for line in list(process.last_lines))


@contextmanager
def interruptible() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C, so that any of them stops the rest, too.

    SIGINT is set as well: in a process that a script starts with `&` it is ignored.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _await_ready(process: Process, ready: Ready, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not ready(process):
        if process.exit_code() is not None:
            raise process.failure(f"ended with exit code {process.exit_code()} before it was ready")
        if time.monotonic() > deadline:
            raise process.failure(f"was not ready within {timeout:g} seconds")
        time.sleep(0.05)
