"""Publish, enqueue and batch."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..engine.intake import Draft, Order, Receipt
from ..engine.usage import Usage
from ..errors import ApiError, WorkflowError, bad_request
from ..protocol.destinations import check_name, split_target
from ..protocol.headers import Pair, read_boolean
from ..services import Services
from .faults import exposed
from .http import Call, Route, reply

# Upstash-Header-Forward means the publisher's own headers, not those that proxies add.
_NOT_FORWARDED = frozenset(
    {"authorization", "proxy-authorization", "proxy-connection", "content-type", "accept-encoding"}
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


async def publish(call: Call) -> Any:
    order = await read_order(call, call.raw)
    return await _accept_one(call.services, order)


async def enqueue(call: Call) -> Any:
    queue = check_name(call.names[0], "queue name")
    order = await read_order(call, call.raw, queue=queue)
    return await _accept_one(call.services, order)


async def batch(call: Call) -> Any:
    """Accept every valid item of a batch in one commit; a bad one gets an error in its slot."""
    items = await call.json(limit=call.services.settings.limits.batch_bytes)
    if not isinstance(items, list):
        raise bad_request("a batch is a JSON array of messages")
    call.services.usage.check_day()
    slots = _within_room([_try_draft(call, item) for item in items], call.services.usage)
    drafts = [draft for slot in slots if isinstance(slot, list) for draft in slot]
    receipts = iter(await call.services.intake.accept(drafts))
    return [
        _shown(slot, [next(receipts) for _ in slot])
        if isinstance(slot, list)
        else {"error": str(slot)}
        for slot in slots
    ]


async def read_order(call: Call, raw: str, *, queue: str | None = None) -> Order:
    """Read a message from a request whose raw path ends with its destination."""
    destination, config = split_target(raw)
    pairs = config_pairs([*call.headers, *config])
    return Order(
        destination=destination,
        pairs=pairs,
        body=await call.body(),
        queue=queue,
        caller_ip=call.request.remote,
    )


def config_pairs(headers: Iterable[Pair]) -> tuple[Pair, ...]:
    """Return the headers of a request that its message keeps, names in lower case."""
    lowered = [(name.lower(), value) for name, value in headers]
    for name, value in lowered:  # in JSON or a query they are unchecked
        if _CONTROL.search(value) or not _NAME.fullmatch(name):
            raise bad_request(
                f"header {name!r}: invalid name, or a line break or control character in its value"
            )
        if name.startswith("upstash-workflow-"):
            raise WorkflowError(name)
    kept = [
        (name, value)
        for name, value in lowered
        if (name.startswith("upstash-") and not name.startswith("upstash-telemetry-"))
        or name == "content-type"
    ]
    if read_boolean(dict(kept), "upstash-header-forward"):
        kept += [
            (f"upstash-forward-{name}", value)
            for name, value in lowered
            if not name.startswith("upstash-") and name not in _NOT_FORWARDED
        ]
    return tuple(pair for pair in kept if pair[0] != "upstash-header-forward")


async def _accept_one(services: Services, order: Order) -> Any:
    services.usage.check_day()
    drafts = services.intake.draft(order)
    receipts = await services.intake.accept(drafts)
    duplicate = bool(receipts) and all(receipt.deduplicated for receipt in receipts)
    return reply(_shown(drafts, receipts), 202 if duplicate else 200)


def _within_room(
    slots: Sequence[list[Draft] | ApiError], usage: Usage
) -> list[list[Draft] | ApiError]:
    """Return the slots of a batch, with an error in those that are too many for today."""
    left, kept = usage.room, list(slots)
    if left is None:
        return kept
    for index, slot in enumerate(kept):
        if isinstance(slot, list):
            left -= len(slot)
            if left < 0:
                kept[index] = usage.used_up()
    return kept


def _try_draft(call: Call, item: object) -> list[Draft] | ApiError:
    try:
        return call.services.intake.draft(_order(call, item))
    except WorkflowError:  # whose client ignores an error in a slot
        raise
    except ApiError as error:
        return error


def _order(call: Call, item: object) -> Order:
    if not isinstance(item, dict) or not isinstance(item.get("destination"), str):
        raise bad_request("a batch item is an object with a string `destination`")
    destination, config = split_target(item["destination"])
    queue, headers, body = item.get("queue"), item.get("headers"), item.get("body")
    if not isinstance(headers, dict | None) or not isinstance(body, str | None):
        raise bad_request("a batch item's `headers` is an object and its `body` a string")
    return Order(
        destination=destination,
        pairs=config_pairs([*_header_items(headers or {}), *config]),
        body=(body or "").encode(),
        queue=None if queue is None else check_name(queue, "queue name"),
        caller_ip=call.request.remote,
    )


def _header_items(headers: dict[str, Any]) -> Iterable[Pair]:
    for name, value in headers.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one if isinstance(one, str) else json.dumps(one)


def _shown(drafts: Sequence[Draft], receipts: Sequence[Receipt]) -> Any:
    shown: list[dict[str, Any]] = [
        {"messageId": receipt.message_id, "url": receipt.url}
        | ({"deduplicated": True} if receipt.deduplicated else {})
        for receipt in receipts
    ]
    grouped = bool(drafts) and drafts[0].message.topic is not None
    return shown if grouped or not shown else shown[0]


ROUTES: list[Route] = [
    ("POST", "publish/**", exposed(publish)),
    ("POST", "enqueue/*/**", exposed(enqueue)),
    ("POST", "batch", exposed(batch)),
]
