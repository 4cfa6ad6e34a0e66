"""Measure the local QStash server against plain aiohttp POSTs on the same machine.

    python benchmarks/local_qstash.py [--messages 3000] [--waiting 100000] [--memory]

The floor is one aiohttp client posting to a no-op aiohttp endpoint in another process, with as
many connections as the server uses. All other rows are ratios to it, taken in the same run:
publishing one by one (each answered only when it is fsynced), publishing in batches of 100, the
time from the first publish to the last delivery, the latency at low load, and the same with many
delayed messages waiting. The destination is that same no-op endpoint.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

CONCURRENCY = 32
BODY = json.dumps({"jobId": "0" * 36, "type": "send-email", "payload": {"to": "a@b.test"}})

_ENDPOINT = """
import asyncio
from aiohttp import web

class Endpoint:
    def __init__(self):
        self.count, self.arrivals, self.expected, self.done = 0, {}, 0, asyncio.Event()

    async def handle(self, request):
        if request.path == "/expect":
            self.count, self.expected = 0, int(request.query["count"])
            self.arrivals.clear()
            self.done.clear()
            return web.Response()
        if request.path == "/done":
            await self.done.wait()
            return web.Response()
        if request.path == "/arrival":
            return web.json_response(self.arrivals.get(request.query["id"]))
        await request.read()
        self.count += 1
        if self.expected < 1000:
            self.arrivals[request.headers.get("Upstash-Message-Id")] = time.time()
        if self.count >= self.expected:
            self.done.set()
        return web.Response()

import time

async def main():
    runner = web.ServerRunner(web.Server(Endpoint().handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass
class Bench:
    """What every measurement needs."""

    session: aiohttp.ClientSession
    endpoint: str
    qstash: str
    messages: int

    async def expect(self, count: int) -> None:
        async with self.session.get(f"{self.endpoint}/expect?count={count}"):
            pass

    async def delivered(self) -> None:
        async with self.session.get(f"{self.endpoint}/done"):
            pass


async def post_rate(bench: Bench, url: str, count: int, body: bytes) -> float:
    """Return how many of `count` POSTs to `url` were answered per second."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            async with bench.session.post(url, data=body) as answer:
                assert answer.ok, await answer.text()
                await answer.read()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return count / (time.perf_counter() - started)


async def floor(bench: Bench) -> float:
    await bench.expect(0)
    return await post_rate(bench, f"{bench.endpoint}/", bench.messages, BODY.encode())


async def singles(bench: Bench) -> tuple[float, float]:
    """Return messages published and delivered per second, published one by one."""
    await bench.expect(bench.messages)
    started = time.perf_counter()
    url = f"{bench.qstash}/v2/publish/{bench.endpoint}/"
    published = await post_rate(bench, url, bench.messages, BODY.encode())
    await bench.delivered()
    return published, bench.messages / (time.perf_counter() - started)


async def batches(bench: Bench, *, delay: str | None = None, count: int = 0) -> tuple[float, float]:
    """Return messages published and delivered per second, published in batches of 100."""
    count = count or bench.messages
    headers = {"Content-Type": "application/json"} | ({"Upstash-Delay": delay} if delay else {})
    item = {"destination": f"{bench.endpoint}/", "headers": headers, "body": BODY, "queue": None}
    body = json.dumps([item] * 100).encode()
    await bench.expect(count)
    started = time.perf_counter()
    left = iter(range(count // 100))

    async def worker() -> None:
        for _ in left:
            async with bench.session.post(f"{bench.qstash}/v2/batch", data=body) as answer:
                assert answer.ok, await answer.text()
                await answer.read()

    await asyncio.gather(*(worker() for _ in range(4)))
    published = count / (time.perf_counter() - started)
    if delay:
        return published, 0.0
    await bench.delivered()
    return published, count / (time.perf_counter() - started)


async def latency(bench: Bench, count: int = 100) -> tuple[float, float]:
    """Return p50 and p95 in ms from just before a publish to its arrival, at low load."""
    await bench.expect(count)
    sent = {}
    for _ in range(count):
        started = time.time()
        async with bench.session.post(
            f"{bench.qstash}/v2/publish/{bench.endpoint}/", data=BODY
        ) as answer:
            sent[(await answer.json())["messageId"]] = started
        await asyncio.sleep(0.01)
    await bench.delivered()
    took = []
    for message_id, started in sent.items():
        async with bench.session.get(f"{bench.endpoint}/arrival?id={message_id}") as answer:
            took.append((await answer.json() - started) * 1000)
    cuts = statistics.quantiles(took, n=20)
    return statistics.median(took), cuts[18]


def resident_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024


async def measure(bench: Bench, server: int, waiting: int) -> None:
    await post_rate(bench, f"{bench.endpoint}/", 300, b"")  # connections and caches warm up
    await batches(bench, count=300)
    base = await floor(bench)
    row("floor: plain POSTs", base, base)
    published, delivered = await singles(bench)
    row("published singly", published, base)
    row("published singly to delivered", delivered, base)
    published, _ = await batches(bench, delay="1d")
    row("published in batches of 100, for later", published, base)
    published, delivered = await batches(bench)
    row("published in batches of 100, delivering", published, base)
    row("published in batches to delivered", delivered, base)
    p50, p95 = await latency(bench)
    print(f"{'latency at low load':<42}{p50:>7.1f} ms p50 {p95:>7.1f} ms p95")
    if not waiting:
        return
    before = resident_mb(server)
    await batches(bench, delay="1d", count=waiting)
    after = resident_mb(server)
    print(f"{f'{waiting:,} delayed messages waiting':<42}{after:>7.0f} MB, {before:.0f} MB before")
    _, slowed = await batches(bench)
    row("batches to delivered, meanwhile", slowed, base)
    print(f"{'  against none waiting':<42}{slowed / delivered:>8.2f} x")
    row("floor, again", await floor(bench), base)


def row(name: str, rate: float, base: float) -> None:
    print(f"{name:<42}{rate:>8.0f} /s {rate / base:>8.2f} x floor", flush=True)


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    try:
        yield started
    finally:
        started.terminate()
        started.wait()


@contextlib.asynccontextmanager
async def setup(messages: int, state: list[str]) -> AsyncIterator[tuple[Bench, int]]:
    flask = str(Path(sys.executable).with_name("flask"))
    with (
        process(sys.executable, "-c", _ENDPOINT) as endpoint,
        process(flask, "qstash", "dev", "--port", "0", *state) as server,
    ):
        assert endpoint.stdout
        assert server.stdout
        port = endpoint.stdout.readline().strip()
        told = dict(server.stdout.readline().strip().split("=", 1) for _ in range(4))
        headers = {"Authorization": f"Bearer {told['QSTASH_TOKEN']}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            url = f"http://127.0.0.1:{port}"
            yield Bench(session, url, told["QSTASH_URL"], messages), server.pid


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=3000, help="per measurement (3000)")
    parser.add_argument("--waiting", type=int, default=0, help="delayed messages as ballast (0)")
    parser.add_argument("--memory", action="store_true", help="without durability")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "state.sqlite3")  # noqa: PTH118 - an argument
        state = ["--memory"] if arguments.memory else ["--state", file]
        async with setup(arguments.messages // 100 * 100, state) as (bench, server):
            await measure(bench, server, arguments.waiting)


if __name__ == "__main__":
    asyncio.run(main())
