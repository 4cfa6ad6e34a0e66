"""Flow-control keys."""

from typing import Any

from ..engine.limits import FlowLimit
from ..errors import bad_request, not_found
from .filters import integer
from .http import Call, Route

_LIMITS = (1, 2**31 - 1)
_WEEK = 7 * 86_400


async def list_keys(call: Call) -> Any:
    search = call.query().get("search", [""])[-1]
    limits = call.services.flows.limits
    return [_view(key, limit) for key, limit in sorted(limits.items()) if search in key]


async def get_key(call: Call) -> Any:
    key = call.names[0]
    limit = call.services.flows.limits.get(key)
    if limit is None:
        raise not_found("flow-control key", key)
    return _view(key, limit)


async def pause_key(call: Call) -> None:
    await call.services.flows.pause(call.names[0], paused=True)


async def resume_key(call: Call) -> None:
    await call.services.flows.pause(call.names[0], paused=False)


async def pin_key(call: Call) -> None:
    query = call.query()
    given = {
        name: integer(query, name, limits=_LIMITS) if name in query else None
        for name in ("parallelism", "rate")
    }
    if given["parallelism"] is None and given["rate"] is None:
        raise bad_request("pin: give parallelism, rate or both")
    period = integer(query, "period", 1, limits=(1, _WEEK))
    await call.services.flows.pin(call.names[0], **given, period=period)


async def unpin_key(call: Call) -> None:
    query = call.query()
    chosen = {
        name: query.get(name, ["false"])[-1].lower() == "true" for name in ("parallelism", "rate")
    }
    await call.services.flows.unpin(call.names[0], **chosen)


async def reset_rate(call: Call) -> None:
    call.services.flows.reset_rate(call.names[0])


async def get_global_parallelism(call: Call) -> Any:
    return {
        "parallelismMax": call.services.settings.limits.parallelism_per_origin,
        "parallelismCount": call.services.engine.active,
    }


def _view(key: str, limit: FlowLimit) -> dict[str, Any]:
    return {
        "flowControlKey": key,
        "waitListSize": len(limit.waiting),
        "parallelismMax": limit.parallelism or 0,
        "parallelismCount": limit.active,
        "rateMax": limit.rate or 0,
        "rateCount": limit.starts,
        "ratePeriod": limit.period,
        "ratePeriodStart": limit.period_start // 1000,
        "isPaused": limit.paused,
        "isPinnedParallelism": limit.pinned_parallelism,
        "isPinnedRate": limit.pinned_rate,
    }


ROUTES: list[Route] = [
    ("GET", "flowControl", list_keys),
    ("GET", "flowControl/*", get_key),
    ("POST", "flowControl/*/pause", pause_key),
    ("POST", "flowControl/*/resume", resume_key),
    ("POST", "flowControl/*/pin", pin_key),
    ("POST", "flowControl/*/unpin", unpin_key),
    ("POST", "flowControl/*/resetRate", reset_rate),
    ("POST", "flowControl/*/reset", reset_rate),
    ("GET", "globalParallelism", get_global_parallelism),
]
