"""The process that stops all others, whatever becomes of the runner that started them.

It reads from the runner what there is to stop, a line each: `group` and the number of a process
group, `postgres` and the folder of a server, or `file` and a path; `gone` before such a line takes
it back. The pipe ends when the runner closes it or dies, be it by `kill -9`; then everything is
stopped (a file: deleted), the newest first. So there is one way to stop, and nothing stays behind.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE_SECONDS = 10


def main() -> None:
    """Wait for the end of standard input, then stop what it named."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for line in reversed(_left(sys.stdin.read().splitlines())):
        kind, _, which = line.partition(" ")
        if kind == "group":
            stop_group(int(which))
        elif kind == "postgres":
            _stop_postgres(Path(which))
        else:
            Path(which).unlink(missing_ok=True)


def stop_group(group: int, grace: float = GRACE_SECONDS) -> None:
    """End a process group: ask, wait for `grace` seconds, kill."""
    _signal(group, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while _signal(group, 0):
        if time.monotonic() > deadline:
            _signal(group, signal.SIGKILL)
            return
        time.sleep(0.02)


def _left(lines: list[str]) -> list[str]:
    # The number of a group that is gone may belong to somebody else's by now.
    gone = {line.removeprefix("gone ") for line in lines if line.startswith("gone ")}
    return [line for line in lines if not line.startswith("gone ") and line not in gone]


def _signal(group: int, number: int) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def _stop_postgres(data_dir: Path) -> None:
    from app.dev.postgres import Server  # noqa: PLC0415 - slow, and most runs end without it

    Server(data_dir).stop()


if __name__ == "__main__":
    main()
