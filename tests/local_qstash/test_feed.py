"""Changes as they happen."""

import asyncio

import httpx

from app.local_qstash.engine.feed import Change
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply


async def _until_delivered(server: LocalQStash, http: httpx.Client, url: str) -> list[Change]:
    seen: list[Change] = []
    with server.server.services.engine.feed.subscribe() as changes:
        await asyncio.to_thread(http.post, f"/v2/publish/{url}")
        while not seen or seen[-1].state != "DELIVERED":
            seen.append(await asyncio.wait_for(changes.get(), 10))
    return seen


def test_a_subscriber_sees_every_state_of_a_message(
    server: LocalQStash, http: httpx.Client, destination: HttpServer
) -> None:
    destination.replies["/"] = [Reply(500)]
    watching = _until_delivered(server, http, f"{destination.url}/")
    seen = asyncio.run_coroutine_threadsafe(watching, server._loop).result(15)
    assert [change.state for change in seen] == [
        "CREATED",
        "ACTIVE",
        "RETRY",
        "ACTIVE",
        "DELIVERED",
    ]
    assert len({change.message_id for change in seen}) == 1
