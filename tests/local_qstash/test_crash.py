"""`kill -9` at random moments of 2,000 publishes and their deliveries.

What was answered with 2xx is delivered, although the server was killed while it was accepting,
writing, delivering and coming back. Each seed is another run with other moments. By default a few
are made; `CRASH_SEEDS=20 pytest tests/local_qstash/test_crash.py` makes twenty.
"""

import asyncio
import os
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from qstash import AsyncQStash, QStash
from qstash.log import LogState

from app.local_qstash.settings import DEVELOPMENT
from tests.local_qstash.command import announced, started
from tests.support.http_server import HttpServer, Reply

from .crash_run import (
    LINE,
    PATIENCE,
    WORKERS,
    Progress,
    Publisher,
    Receiver,
    Victim,
    all_of,
    crash,
    order,
    requests,
)

SEEDS = int(os.environ.get("CRASH_SEEDS", "2"))


@dataclass
class Aftermath:
    """What is found when the last server has had the time to finish."""

    settings_after: list[object]
    settings_before: list[object] = field(default_factory=list)
    lost: dict[str, set[str]] = field(default_factory=dict)  # message ids by kind
    dead_letters_lost: set[str] = field(default_factory=set)
    unlogged: set[str] = field(default_factory=set)
    waiting: str | None = None  # the body of a message that is due later
    ticked: bool = False  # whether the schedule went on
    line: list[str] = field(default_factory=list)  # bodies in the order of their arrival
    held: list[str] = field(default_factory=list)
    exit_status: int | None = None


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_that_was_accepted_is_lost(seed: int, tmp_path: Path) -> None:
    found = asyncio.run(run(seed, tmp_path))
    assert found.lost == {}
    assert found.dead_letters_lost == set()
    assert found.unlogged == set()
    assert found.waiting == "far-0000"
    assert found.ticked, "the schedule no longer fires"
    assert found.line == sorted(found.line), "a FIFO queue was left out of order"
    assert found.held == sorted(found.held), "a paused FIFO queue was left out of order"
    assert found.settings_after == found.settings_before
    assert found.exit_status == 0


def test_a_queue_that_was_killed_repeats_its_head_but_never_goes_back(
    tmp_path: Path, destination: HttpServer
) -> None:
    held = threading.Event()
    destination.replies["/2"] = [Reply(hold=held)]
    with started(cwd=tmp_path) as process:
        told = announced(process)
        client = QStash(told["QSTASH_TOKEN"], base_url=told["QSTASH_URL"])
        with client.http._client:
            client.queue.upsert("q", paused=True)
            for number in (1, 2, 3):
                client.message.enqueue(queue="q", url=f"{destination.url}/{number}")
            client.queue.resume("q")
        destination.wait(2)
        process.kill()
    held.set()
    with started(cwd=tmp_path):
        got = destination.wait(4)
    assert [one.path for one in got] == ["/1", "/2", "/2", "/3"]


async def run(seed: int, folder: Path) -> Aftermath:
    rng, progress, victim = random.Random(seed), Progress(), Victim(folder)  # noqa: S311 - dice
    async with asyncio.timeout(PATIENCE), Receiver(progress) as receiver:
        try:
            await victim.start()
            async with Publisher(victim, receiver.url, progress) as publisher:
                before = await configure(victim, receiver.url)
                await publish_and_crash(publisher, victim, progress=progress, rng=rng)
            found = await look(victim, receiver, publisher=publisher, progress=progress)
            found.settings_before = before
            found.exit_status = await victim.stop()
        finally:
            await victim.kill()
    return found


async def publish_and_crash(
    publisher: Publisher, victim: Victim, *, progress: Progress, rng: random.Random
) -> None:
    todo = iter(requests(rng))
    in_order = [iter([[order(kind, n)] for n in range(LINE)]) for kind in ("line", "held")]
    await all_of(
        *(publisher.work(todo) for _ in range(WORKERS)),
        *(publisher.work(line) for line in in_order),
        crash(victim, progress, rng),
    )


@asynccontextmanager
async def connected(victim: Victim) -> AsyncIterator[AsyncQStash]:
    client = AsyncQStash(DEVELOPMENT.token, base_url=await victim.url(), retry=False)
    async with client.http._client:
        yield client


async def configure(victim: Victim, destination: str) -> list[object]:
    async with connected(victim) as client:
        await client.queue.upsert("held", paused=True)
        await client.queue.upsert("q0", parallelism=5)
        await client.url_group.upsert_endpoints(
            "crowd", [{"url": f"{destination}/crowd?{name}"} for name in ("a", "b")]
        )
        await client.schedule.create(
            destination=f"{destination}/tick", cron="* * * * *", schedule_id="tick"
        )
        await client.flow_control.pin("key", {"rate": 3, "period": 9})
        return await settings(client)


async def settings(client: AsyncQStash) -> list[object]:
    queues = [await client.queue.get(name) for name in ("held", "q0")]
    schedule, key = await client.schedule.get("tick"), await client.flow_control.get("key")
    return [
        [(queue.name, queue.parallelism, queue.paused, queue.created_at) for queue in queues],
        (await client.url_group.get("crowd")).endpoints,
        (schedule.cron, schedule.destination, schedule.created_at),
        (key.rate_max, key.rate_period, key.is_pinned_rate),
    ]


async def look(
    victim: Victim, receiver: Receiver, *, publisher: Publisher, progress: Progress
) -> Aftermath:
    """Let the last server finish, then collect what it did and what it remembers."""
    accepted = {kind: set(ids) for kind, ids in publisher.accepted.items()}
    [far], dead = accepted.pop("far"), accepted.pop("dead")
    everything = set().union(*accepted.values())
    ticks = len(receiver.bodies["tick"])
    async with connected(victim) as client:
        found = Aftermath(settings_after=await settings(client))
        await client.queue.resume("held")
        await settle(
            progress,
            lambda: (
                receiver.delivered.keys() >= everything and len(receiver.bodies["tick"]) > ticks
            ),
        )
        found.lost = {
            kind: lost
            for kind, ids in accepted.items()
            if (lost := ids - receiver.delivered.keys())
        }
        found.ticked = len(receiver.bodies["tick"]) > ticks
        found.dead_letters_lost = dead - await dead_letters(client)
        found.unlogged = everything - await logged(client)
        found.waiting = (await client.message.get(far)).body
    found.line, found.held = receiver.bodies["line"], receiver.bodies["held"]
    return found


async def settle(progress: Progress, over: Callable[[], bool]) -> None:
    """Wait until it is over, or nothing more has come for a while: then something is lost."""
    with suppress(TimeoutError):
        await asyncio.wait_for(progress.until(over), PATIENCE / 4)


async def dead_letters(client: AsyncQStash) -> set[str]:
    pages = every_page(lambda cursor: client.dlq.list(cursor=cursor, count=100))
    return {letter.message_id async for page in pages for letter in page.messages}


async def logged(client: AsyncQStash) -> set[str]:
    """Return the ids of the messages of which the log knows that they were accepted."""
    created: Any = {"state": LogState.CREATED}
    pages = every_page(lambda cursor: client.log.list(cursor=cursor, count=1000, filter=created))
    return {log.message_id async for page in pages for log in page.logs}


async def every_page(ask: Callable[[str | None], Awaitable[Any]]) -> AsyncIterator[Any]:
    cursor = None
    while True:
        page = await ask(cursor)
        yield page
        if not (cursor := page.cursor):
            return
