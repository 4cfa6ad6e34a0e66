"""Queues."""

import sqlite3
from typing import Any

from ..errors import bad_request, not_found
from ..protocol.destinations import check_name
from .http import Call, Route

_MAX_PARALLELISM = 1_000


async def upsert_queue(call: Call) -> None:
    body = await call.json()
    if not isinstance(body, dict):
        raise bad_request('the body is {"queueName", "parallelism"?, "paused"?}')
    name = check_name(body.get("queueName"), "queue name")
    parallelism, paused = body.get("parallelism"), body.get("paused")
    valid = type(parallelism) is int and 1 <= parallelism <= _MAX_PARALLELISM
    if parallelism is not None and not valid:
        raise bad_request(f"parallelism: expected 1 to {_MAX_PARALLELISM}, got {parallelism!r}")
    if paused is not None and not isinstance(paused, bool):
        raise bad_request(f"paused: expected true or false, got {paused!r}")
    await call.services.queues.upsert(name, parallelism=parallelism, paused=paused)


async def list_queues(call: Call) -> Any:
    return [_view(row) for row in await call.services.queues.find()]


async def get_queue(call: Call) -> Any:
    return _view(await _existing(call))


async def delete_queue(call: Call) -> None:
    await call.services.queues.delete(call.names[0])


async def pause_queue(call: Call) -> None:
    await _existing(call)
    await call.services.queues.upsert(call.names[0], paused=True)


async def resume_queue(call: Call) -> None:
    await _existing(call)
    await call.services.queues.upsert(call.names[0], paused=False)


async def _existing(call: Call) -> sqlite3.Row:
    found = await call.services.queues.find(call.names[0])
    if not found:
        raise not_found("queue", call.names[0])
    return found[0]


def _view(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "name": row["name"],
        "parallelism": row["parallelism"],
        "paused": bool(row["paused"]),
        "lag": row["lag"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }


ROUTES: list[Route] = [
    ("POST", "queues", upsert_queue),
    ("GET", "queues", list_queues),
    ("GET", "queues/*", get_queue),
    ("DELETE", "queues/*", delete_queue),
    ("POST", "queues/*/pause", pause_queue),
    ("POST", "queues/*/resume", resume_queue),
]
