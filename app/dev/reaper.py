"""The process that stops all others, whatever happens to the one that started them.

It reads what to clean up, one entry a line: `group` and the number of a process group, `postgres`
and the folder of a server, `file` or `folder` and a path; a line with `gone` in front cancels an
entry. The pipe ends when its writer closes it or dies, even by `kill -9`; then everything is
stopped or deleted, the newest first. So there is only one way to stop, and nothing is left behind.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Self, cast

ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 10


class Reaper:
    """The writer's end. Leaving the context cleans everything up, and waits for that."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.dev.reaper"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,  # neither Ctrl-C nor a closed terminal may end it
        )
        self._pipe = cast("IO[bytes]", self._process.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        self.begin()
        self._process.wait()

    def tell(self, line: str) -> None:
        self._pipe.write(f"{line}\n".encode())
        self._pipe.flush()

    def begin(self) -> None:
        """Start cleaning up."""
        self._pipe.close()


def main() -> None:
    """Wait for the end of standard input, then clean up what it named."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for line in reversed(_left(sys.stdin.read().splitlines())):
        kind, _, which = line.partition(" ")
        match kind:
            case "group":
                stop_group(int(which))
            case "postgres":
                _stop_postgres(Path(which))
            case "file":
                Path(which).unlink(missing_ok=True)
            case "folder":
                shutil.rmtree(which, ignore_errors=True)


def _left(lines: list[str]) -> list[str]:
    # The number of an ended group may have been reused.
    gone = {line.removeprefix("gone ") for line in lines if line.startswith("gone ")}
    return [line for line in lines if not line.startswith("gone ") and line not in gone]


def stop_group(group: int, grace: float = GRACE_SECONDS) -> None:
    """End a process group: terminate, wait for `grace` seconds, kill."""
    _signal(group, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while _signal(group, 0):
        if time.monotonic() > deadline:
            _signal(group, signal.SIGKILL)
            return
        time.sleep(0.02)


def _signal(group: int, number: int) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def _stop_postgres(data_dir: Path) -> None:
    from app.embedded_postgres.server import Server  # noqa: PLC0415 - slow, and most runs end without it

    Server(data_dir).stop()


if __name__ == "__main__":
    main()
