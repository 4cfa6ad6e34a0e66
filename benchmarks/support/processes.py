"""Processes that a benchmark starts, and what they and their children use."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 20


@contextmanager
def running(
    command: Sequence[str], folder: Path, env: dict[str, str], log: Path, *, answers: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a group of its own, whose end is that of all its children.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        env: its whole environment.
        log: gets what it writes.
        answers: its standard output is read by the caller instead.
    """
    with log.open("ab") as written:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if answers else written,
            stderr=written,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a program as its own documentation says, and kill what is left of its group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until somebody listens there.

    Raises:
        SystemExit: Nobody does within a minute, or the process has ended.
    """
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise SystemExit(f"Nothing listens on port {port}. The end of {log}:\n{tail(log)}")


def tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Return what a process, its descendants and its children that have ended have used."""
    spent = 0.0
    for one in tree(pid):
        with suppress(OSError):
            spent += _own(one) + sum(_times(one)[2:]) / _TICKS
    return spent


def own_cpu_seconds(pid: int) -> float:
    """Return what one process has used, or 0 if it has ended."""
    try:
        return _own(pid)
    except OSError:
        return 0.0


def parent(pid: int) -> int:
    return int(_fields(pid)[1])


def _own(pid: int) -> float:
    """Return what a process has used: to the nanosecond, or in ticks where threads have ended."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    exact = sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    return max(exact, sum(_times(pid)[:2]) / _TICKS)


def _times(pid: int) -> list[int]:
    """Return utime, stime, cutime and cstime."""
    return [int(field) for field in _fields(pid)[11:15]]


def _fields(pid: int) -> list[str]:
    """Return what proc(5) tells of a process after its name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def memory_mb(pid: int) -> float:
    """Return what a process and its descendants hold; pages that they share count once."""
    total = 0
    for one in tree(pid):
        with suppress(OSError):
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += int(re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[0])
    return total / 1024


def output(*command: str) -> str:
    """Return what a program says, or an empty text where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    return done.stdout.strip() if done.returncode == 0 else ""
