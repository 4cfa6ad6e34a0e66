"""One run of the crash tests: a server that is killed again and again while messages flow."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web

from app.local_qstash.settings import DEVELOPMENT
from tests.local_qstash.command import FLASK

SPEED = 60  # a minute's delay, and the wait between the schedule's firings, takes a second
KILLS = 5
PATIENCE = 100.0  # seconds for a run
WORKERS = 16

SINGLES = {"now": 500, "queued": 100, "delayed": 100, "flaky": 50, "dead": 20, "group": 20}
BATCHES, BATCH = 55, 20
LINE = 60  # messages of a queue whose order is looked at; as many again in a paused one


@dataclass(frozen=True)
class Order:
    """A message to publish. Its kind is also the path that it is sent to."""

    kind: str
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    queue: str | None = None


HEADERS = {
    "delayed": {"Upstash-Delay": "60s"},
    "flaky": {"Upstash-Retry-Delay": "1000"},
    "dead": {"Upstash-Retries": "0"},
    "far": {"Upstash-Delay": "1d"},
}
QUEUES = {"queued": "q{}", "line": "line", "held": "held"}


def order(kind: str, number: int) -> Order:
    queue = QUEUES[kind].format(number % 4) if kind in QUEUES else None
    return Order(kind, f"{kind}-{number:04}", HEADERS.get(kind, {}), queue)


def requests(rng: random.Random) -> list[Sequence[Order]]:
    """Return what is published in no order: one order is a publish, several are a batch."""
    numbers = {kind: iter(range(10_000)) for kind in (*SINGLES, "far")}
    singles = [[order(kind, next(numbers[kind]))] for kind in SINGLES for _ in range(SINGLES[kind])]
    kinds = list(SINGLES)
    weights = [6, 2, 2, 1, 1, 0]
    batches = [
        [order(kind, next(numbers[kind])) for kind in rng.choices(kinds, weights, k=BATCH)]
        for _ in range(BATCHES)
    ]
    mixed: list[Sequence[Order]] = [*singles, *batches, [order("far", 0)]]
    rng.shuffle(mixed)
    return mixed


class Progress:
    """Counts what has happened, so that a kill can wait for a moment of the run, not of a clock."""

    def __init__(self) -> None:
        self._count, self._moved = 0, asyncio.Event()

    def tick(self) -> None:
        self._count += 1
        self._moved.set()

    async def reach(self, count: int) -> None:
        await self.until(lambda: self._count >= count)

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._moved.clear()
            await self._moved.wait()


class Receiver:
    """The destination: refuses a flaky message once and a dead one always."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.delivered: Counter[str] = Counter()  # by message id
        self.bodies: defaultdict[str, list[str]] = defaultdict(list)  # by path, in order
        self._refused: set[str] = set()

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        body, message_id = await request.text(), request.headers["Upstash-Message-Id"]
        kind = request.path.strip("/")
        self._progress.tick()
        if kind == "dead" or (kind == "flaky" and message_id not in self._refused):
            self._refused.add(message_id)
            return web.Response(status=500)
        self.delivered[message_id] += 1
        self.bodies[kind].append(body)
        return web.Response()


class Victim:
    """`flask qstash dev` on one state file, started again after every kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._up = asyncio.Event()
        self._url = ""

    async def url(self) -> str:
        """Return where the server is once it runs."""
        await self._up.wait()
        return self._url

    async def start(self) -> None:
        await self._spawn()
        assert self._process.stdout is not None
        while line := (await self._process.stdout.readline()).decode():
            if line.startswith("QSTASH_URL="):
                self._url = line.strip().partition("=")[2]
            if "is running at" in line:
                return self._up.set()
        raise AssertionError((self._folder / "log").read_text())

    async def kill(self) -> None:
        self._up.clear()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def die_young(self, seconds: float) -> None:
        """Start, and be killed in the middle of it."""
        await self._spawn()
        await asyncio.sleep(seconds)
        await self.kill()

    async def stop(self) -> int:
        self._process.terminate()
        return await self._process.wait()

    async def _spawn(self) -> None:
        options = ["--port", "0", "--state", "state.sqlite3", "--speed", str(SPEED)]
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(str(FLASK), "qstash", "dev", *options),
                cwd=self._folder,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )


class Publisher:
    """Publishes each request until it is answered with 2xx, and keeps the ids that came with it."""

    def __init__(self, victim: Victim, destination: str, progress: Progress) -> None:
        self._victim, self._destination, self._progress = victim, destination, progress
        self.accepted: defaultdict[str, set[str]] = defaultdict(set)  # kind -> message ids

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {DEVELOPMENT.token}"}
        self._session = aiohttp.ClientSession(headers=headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def work(self, todo: Iterator[Sequence[Order]]) -> None:
        """Publish what is left of `todo`; several workers may share it."""
        for orders in todo:
            await self.publish(orders)

    async def publish(self, orders: Sequence[Order]) -> None:
        send = self._single if len(orders) == 1 else self._batch
        while True:
            with suppress(aiohttp.ClientError):  # killed, or not up again: nothing was promised
                return self._keep(orders, await send(orders))

    async def _single(self, orders: Sequence[Order]) -> list[object]:
        [order] = orders
        verb = f"enqueue/{order.queue}" if order.queue else "publish"
        url = f"{await self._victim.url()}/v2/{verb}/{self._target(order)}"
        return [await self._post(url, headers=order.headers, data=order.body)]

    async def _batch(self, orders: Sequence[Order]) -> list[object]:
        items = [
            {
                "destination": self._target(order),
                "headers": order.headers,
                "body": order.body,
                "queue": order.queue,
            }
            for order in orders
        ]
        answer = await self._post(f"{await self._victim.url()}/v2/batch", json=items)
        assert isinstance(answer, list)
        return answer

    async def _post(self, url: str, **request: object) -> object:
        async with self._session.post(url, **request) as response:  # type: ignore[arg-type]
            assert response.status == 200, await response.text()
            return await response.json()

    def _target(self, order: Order) -> str:
        return "crowd" if order.kind == "group" else f"{self._destination}/{order.kind}"

    def _keep(self, orders: Sequence[Order], answers: list[object]) -> None:
        for order, answer in zip(orders, answers, strict=True):
            for receipt in answer if isinstance(answer, list) else [answer]:
                self.accepted[order.kind].add(receipt["messageId"])  # type: ignore[index]
            self._progress.tick()


async def crash(victim: Victim, progress: Progress, rng: random.Random) -> None:
    """Kill the server at random moments, the last time twice: again while it comes back."""
    messages = sum(SINGLES.values()) + BATCHES * BATCH
    moments = sorted(rng.sample(range(20, messages * 9 // 5), KILLS))  # of publishes and deliveries
    for moment in moments:
        await progress.reach(moment)
        # Between two steps of progress too: an answer has just come when one is counted.
        await asyncio.sleep(rng.random() / 50)
        await victim.kill()
        if moment == moments[-1]:
            await victim.die_young(rng.random())
        await victim.start()


async def all_of(*jobs: Awaitable[None]) -> None:
    """Wait for all; the first that fails fails them all."""
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(job)  # type: ignore[arg-type]
