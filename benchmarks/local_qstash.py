"""Measure the local QStash server against plain aiohttp POSTs on the same machine.

    python benchmarks/local_qstash.py [--messages 1000] [--waiting 100000] [--memory]

The floor is one aiohttp client posting over 32 connections to a no-op aiohttp endpoint in another
process, measured before and after everything else. All rows are ratios to it: publishing one by
one (each answered only when it is fsynced), publishing in batches of 100, the time from the first
publish to the last delivery to that same endpoint, and this with many delayed messages waiting.
"""

import argparse
import asyncio
import contextlib
import functools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

CONCURRENCY = 32
ROUNDS = 3
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
    await beside_floor(bench, singles, "published singly", "published singly to delivered")
    later = functools.partial(batches, delay="1d")
    await beside_floor(bench, later, "published in batches of 100, for later")
    names = "published in batches of 100, delivering", "published in batches to delivered"
    before = await beside_floor(bench, batches, *names)
    p50, p95 = await latency(bench)
    print(f"{'latency at low load':<42}{p50:>7.1f} ms p50 {p95:>6.1f} ms p95")
    if waiting:
        memory = resident_mb(server)
        await batches(bench, delay="1d", count=waiting)
        memory = f"{resident_mb(server):>7.0f} MB, {memory:.0f} MB before"
        print(f"{f'{waiting:,} delayed messages waiting':<42}{memory}")
        meanwhile = await beside_floor(bench, batches, *(f"  {name}" for name in names))
        print(f"{'  to delivered, against none waiting':<42}{meanwhile[-1] / before[-1]:>19.2f} x")


async def beside_floor(
    bench: Bench, work: Callable[[Bench], Awaitable[tuple[float, ...]]], *names: str
) -> list[float]:
    """Measure `work` between two floors, some rounds long; print and return median ratios.

    Other work on the machine slows both alike, so a ratio tells more than a rate.
    """
    rates, ratios = [], []
    before = await floor(bench)
    floors = [before]
    for _ in range(ROUNDS):
        rates.append(await work(bench))
        after = await floor(bench)
        ratios.append([rate / ((before + after) / 2) for rate in rates[-1]])
        before = after
        floors.append(after)
    medians = [statistics.median(column) for column in zip(*ratios, strict=True)]
    columns = zip(*rates, strict=True)
    for name, column, ratio in zip(names, columns, medians, strict=False):
        rate = statistics.median(column)
        beside = f"{ratio:>8.2f} x the floor of {statistics.median(floors):.0f} /s"
        print(f"{name:<42}{rate:>8.0f} /s {beside}", flush=True)
    return medians


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
    parser.add_argument("--messages", type=int, default=1000, help="per measurement (1000)")
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
