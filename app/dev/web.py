"""The app's process under `make dev`, which restarts with every change of its code.

Gunicorn's reloader watches only loaded modules, so it never sees a new one, and a failed import
ends it. Here all files are watched, and an app that cannot start waits for the next change, while
`StandIn` says so to browsers.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

from app.dev.reaper import ROOT
from app.dev.runner import Process, Runner, answers
from app.dev.stand_in import StandIn

#: Files that a running app loads.
SUFFIXES = frozenset({".py", ".html", ".txt", ".jinja", ".css", ".js", ".svg"})
#: Exit codes of gunicorn whose settings cannot be read, whose workers cannot start, or whose app
#: cannot be loaded.
CANNOT_START = (1, 3, 4)


@dataclass
class Web:
    """Gunicorn with the app, on a socket that stays open across restarts."""

    runner: Runner
    env: Mapping[str, str]
    listening: socket
    process: Process | None = field(default=None, init=False)
    stand_in: StandIn | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def start(self) -> None:
        """Start, and return when the app answers."""
        self._start(wait=True)

    def reload(self) -> None:
        """Replace the running processes by new ones with the current code."""
        if self.process is None:
            self._start(wait=False)
        else:
            os.kill(self.process.group, signal.SIGHUP)

    def has_ended(self) -> bool:
        """Tell, once, that the app could not start with its current code.

        Raises:
            RunnerError: It ended for another reason.
        """
        if self.process is None or (code := self.process.exit_code()) is None:
            return False
        if code not in (*CANNOT_START, -signal.SIGHUP):
            raise self.process.failure(f"ended with exit code {code}")
        ended, self.process = self.process, None
        self.runner.forget(ended)
        if code in CANNOT_START:
            ended.join()  # for its last lines
            self.stand_in = StandIn(self.listening, ended.last_lines)
            return True
        self._start(wait=False)  # a change came before gunicorn was ready for the signal
        return False

    def _start(self, *, wait: bool) -> None:
        if self.stand_in is not None:
            self.stand_in.close()
            self.stand_in = None
        number = self.listening.fileno()
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"]
        self.process = self.runner.start(
            "web",
            [*command, "--bind", f"fd://{number}", "wsgi:app"],
            env=self.env,
            ready=answers(f"{self.url}/healthz", self.env["DEV_INSTANCE"]) if wait else None,
            inherits=[number],
        )


class Watcher:
    """Sees which of the app's files were added, changed or removed."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._known = self._before = self._look()

    def changed(self) -> list[str]:
        """Return what has changed since the last call, once the writing has paused."""
        now = self._look()
        still, self._before = now == self._before, now
        if not still or now == self._known:
            return []
        names = sorted(
            str(path.relative_to(self._root))
            for path in now.keys() | self._known.keys()
            if now.get(path) != self._known.get(path)
        )
        self._known = now
        return names

    def _look(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in (*self._root.glob("*.py"), *self._root.joinpath("app").rglob("*")):
            if path.suffix in SUFFIXES:
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # it was there a moment ago
                found[path] = (stat.st_mtime_ns, stat.st_size)
        return found
