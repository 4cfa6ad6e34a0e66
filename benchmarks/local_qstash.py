"""Measure the local QStash server against plain aiohttp POSTs on the same machine.

    python benchmarks/local_qstash.py [--messages 1000] [--waiting 100000] [--memory]
    python benchmarks/local_qstash.py --cpu [--against CHECKOUT]

The floor is one aiohttp client posting over 32 connections to a no-op aiohttp endpoint in another
process, measured before and after everything else. All rows are ratios to it: publishing one by
one (each answered only when it is fsynced), publishing in batches of 100, the time from the first
publish to the last delivery to that same endpoint, and this with many delayed messages waiting.

What else a machine does changes these more than the CPU time of the server's process: `--cpu`
measures only that, beside another checkout's in the same rounds.
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

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.support.processes import own_cpu_seconds  # noqa: E402 - the path comes first

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


async def measure_cpu(builds: dict[str, tuple[Bench, int]], rounds: int) -> None:
    """Print what a message costs each build's server, by how it was published."""
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for name, (bench, server) in builds.items():
            for kind, work in (("singly", singles), ("in batches of 100", batches)):
                before = own_cpu_seconds(server)
                await work(bench)
                await asyncio.sleep(0.1)  # what it notes of the deliveries
                spent = (own_cpu_seconds(server) - before) / bench.messages
                if number:  # the first warms up
                    found.setdefault((kind, name), []).append(spent * 1e6)
    print("CPU microseconds of the server per message, delivered")
    for (kind, name), spent_each in found.items():
        ours = statistics.median(spent_each)
        other = statistics.median(found[kind, list(builds)[-1]])
        print(f"published {kind:<20}{name:<12}{ours:>6.0f} {ours / other:>8.2f} x the last build's")


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
def process(*command: str, checkout: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=checkout, env=env)  # noqa: S603 - our own
    try:
        yield started
    finally:
        started.terminate()
        started.wait()


@contextlib.contextmanager
def endpoint() -> Iterator[str]:
    with process(sys.executable, "-c", _ENDPOINT) as running:
        assert running.stdout
        yield f"http://127.0.0.1:{running.stdout.readline().strip()}"


@contextlib.asynccontextmanager
async def setup(
    url: str, messages: int, state: list[str], checkout: Path
) -> AsyncIterator[tuple[Bench, int]]:
    serve = (sys.executable, "-m", "flask", "qstash", "dev", "--port", "0", *state)
    with process(*serve, checkout=checkout) as server:
        assert server.stdout
        told = dict(server.stdout.readline().strip().split("=", 1) for _ in range(4))
        headers = {"Authorization": f"Bearer {told['QSTASH_TOKEN']}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            yield Bench(session, url, told["QSTASH_URL"], messages), server.pid


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1000, help="per measurement (1000)")
    parser.add_argument("--waiting", type=int, default=0, help="delayed messages as ballast (0)")
    parser.add_argument("--memory", action="store_true", help="without durability")
    parser.add_argument("--cpu", action="store_true", help="measure CPU alone")
    parser.add_argument("--against", type=Path, help="another checkout's CPU beside this one's")
    given = parser.parse_args()
    checkouts = {"this build": ROOT} | ({"the other": given.against} if given.against else {})
    builds: dict[str, tuple[Bench, int]] = {}
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(endpoint())
        for name, checkout in checkouts.items():
            state = ["--memory"] if given.memory else ["--state", f"{folder}/{name}.sqlite3"]
            started = setup(url, given.messages // 100 * 100, state, checkout.resolve())
            builds[name] = await stack.enter_async_context(started)
        if given.cpu or given.against:
            await measure_cpu(builds, 2 * ROUNDS)
        else:
            await measure(*builds["this build"], given.waiting)


if __name__ == "__main__":
    asyncio.run(main())
