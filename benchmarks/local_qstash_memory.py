"""Measure the memory of the local QStash server while large bodies wait.

    python benchmarks/local_qstash_memory.py [--messages 400] [--size 200000]

Publishes to a destination that takes connections and never answers, and to a paused queue; then
reads the log list and cancels everything. The state file is on disk: with --memory the bodies
are in memory by definition. Exits with 1 when the server ever takes more than 120 MB.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp

BOUND = 120  # MB
CONCURRENCY = 4


@contextmanager
def server(folder: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Run a server; yield its process id and what it prints for its clients."""
    flask = Path(sys.executable).with_name("flask")
    with subprocess.Popen(  # noqa: S603 - our own command
        [flask, "qstash", "dev", "--port", "0", "--state", "state.sqlite3"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            if "is running at" in line:
                break
            lines.append(line.strip())
        try:
            yield process.pid, dict(line.split("=", 1) for line in lines)
        finally:
            process.terminate()


def memory(pid: int, what: str = "VmRSS") -> float:
    """Return the megabytes that a process has in memory now, or had at most (VmHWM)."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1000


async def publish(session: aiohttp.ClientSession, path: str, count: int, size: int) -> None:
    body, left = b"b" * size, iter(range(count))

    async def work() -> None:
        for _ in left:
            async with session.post(path, data=body) as answer:
                answer.raise_for_status()

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


async def measure(pid: int, told: dict[str, str], *, count: int, size: int) -> float:
    def report(what: str) -> None:
        print(f"{what:<46} {memory(pid):6.0f} MB now, {memory(pid, 'VmHWM'):6.0f} MB at most")

    async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

    hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}/"
    headers = {"Authorization": f"Bearer {told['QSTASH_TOKEN']}"}
    async with aiohttp.ClientSession(told["QSTASH_URL"], headers=headers) as session:
        report("at the start")
        await publish(session, f"/v2/publish/{url}", count, size)
        report(f"{count} x {size // 1000} KB for a destination that hangs")
        await session.post("/v2/queues", json={"queueName": "q", "paused": True})
        await publish(session, f"/v2/enqueue/q/{url}", count, size)
        report("as many in a paused queue")
        async with session.get("/v2/events") as answer:
            print(f"{'a page of the log list has':<46} {len(await answer.read()) / 1e6:6.1f} MB")
        report("after reading a page of the log list")
        await session.delete("/v2/messages")
        report("after cancelling all")
    hanging.close()
    return memory(pid, "VmHWM")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--size", type=int, default=200_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(folder) as (pid, told):
        most = asyncio.run(measure(pid, told, count=options.messages, size=options.size))
    if most > BOUND:
        sys.exit(f"{most:.0f} MB are more than the bound of {BOUND} MB")


if __name__ == "__main__":
    main()
