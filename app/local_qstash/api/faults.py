"""Fault injection: the control endpoint, and publishes that fail.

GET     /local/faults  the faults that are set, the seed, and how often each took effect
PUT     /local/faults  `{"faults": ["drop=0.05", ...], "seed": 7}` replaces all, resets the counts
DELETE  /local/faults  injects no more faults; the counts stay until the next PUT

Each answers with `{"faults", "seed", "injected", "seen"}`: `injected` maps a fault's kind, with
its detail if it has one, to how often it took effect; `seen` counts the deliveries and publishes
that were exposed to faults. QStash itself has no such endpoint.
"""

from functools import wraps
from typing import Any

from ..errors import ApiError, InvalidFaultError, bad_request
from ..faults import PUBLISH, Fault, parse_faults
from .http import Call, Handler, Route

_FORM = 'the body is {"faults": ["drop=0.05", ...], "seed": a non-negative integer or absent}'


def exposed(handler: Handler) -> Handler:
    """Expose a handler that accepts messages to the faults of publishes."""

    @wraps(handler)
    async def handle(call: Call) -> Any:
        struck = call.services.faults.draw(PUBLISH)
        for fault in struck:
            if fault.kind == "publish-fail":
                _refuse(call, fault)
        result = await handler(call)
        for fault in struck:
            _hang_up(call, fault)
        return result

    return handle


async def get_faults(call: Call) -> Any:
    faults = call.services.faults
    return {
        "faults": [str(fault) for fault in faults.faults],
        "seed": faults.seed,
        "injected": faults.injected,
        "seen": faults.seen,
    }


async def set_faults(call: Call) -> Any:
    body = await call.json()
    texts = body.get("faults") if isinstance(body, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise bad_request(_FORM)
    seed = body.get("seed")
    if body.keys() - {"faults", "seed"} or not (seed is None or (type(seed) is int and seed >= 0)):
        raise bad_request(_FORM)
    try:
        call.services.faults.set(parse_faults(texts), seed)
    except InvalidFaultError as error:
        raise bad_request(str(error)) from None
    return await get_faults(call)


async def clear_faults(call: Call) -> Any:
    call.services.faults.clear()
    return await get_faults(call)


def _refuse(call: Call, fault: Fault) -> None:
    call.services.faults.count(fault)
    raise ApiError(int(fault.value), "fault injected: publish-fail, nothing was stored")


def _hang_up(call: Call, fault: Fault) -> None:
    call.services.faults.count(fault)
    if call.request.transport is not None:
        call.request.transport.abort()


ROUTES: list[Route] = [
    ("GET", "/local/faults", get_faults),
    ("PUT", "/local/faults", set_faults),
    ("DELETE", "/local/faults", clear_faults),
]
