"""Logs: every state of every message. The SDKs call them events."""

from typing import Any

from ..errors import bad_request
from .filters import (
    MESSAGE_FILTERS,
    URL_FILTERS,
    Parameters,
    Where,
    check_known,
    cursor_seq,
    integer,
    read_page,
    values,
    where,
)
from .http import Call, Route
from .views import event_view

_STATES = {
    "CREATED": ("CREATED",),
    "ACTIVE": ("ACTIVE",),
    "RETRY": ("RETRY",),
    "ERROR": ("ERROR",),
    "IN_PROGRESS": ("ACTIVE", "RETRY", "ERROR"),
    "DELIVERED": ("DELIVERED",),
    "FAILED": ("FAILED",),
    "CANCEL_REQUESTED": ("CANCEL_REQUESTED",),
    # The documentation spells it with two l, the SDKs with one.
    "CANCELED": ("CANCELED",),
    "CANCELLED": ("CANCELED",),
}
_FILTERS = MESSAGE_FILTERS | URL_FILTERS
_KNOWN = {
    *_FILTERS,
    "state",
    "fromDate",
    "toDate",
    "count",
    "cursor",
    "order",
    "filter",
    "trimBody",
}
_PAGE, _MAX_PAGE = 100, 1_000
_BODIES = ("body", "event_body")
_SELECT = (
    "SELECT m.*, e.seq AS event_seq, e.time AS event_time, e.state AS event_state,"
    " e.next_delivery AS event_next, e.error AS event_error, e.status AS event_status,"
    " e.response_headers AS event_headers, e.response_body AS event_body"
    " FROM events e CROSS JOIN messages m ON m.seq = e.message"
)


async def list_logs(call: Call) -> Any:
    parameters = call.query()
    check_known(parameters, _KNOWN)
    limit = integer(parameters, "count", _PAGE, limits=(1, _MAX_PAGE))
    oldest_first = "earliestFirst" in parameters.get("order", ())
    chosen = where(parameters, _FILTERS, time_column="e.time")
    if "state" in parameters:
        _choose_states(chosen, values(parameters, "state"))
    if (seq := cursor_seq(parameters)) is not None:
        chosen.add(f"e.seq {'>=' if oldest_first else '<='} ?", seq)
    body_bytes = _body_bytes(parameters)
    bodies = _BODIES if body_bytes is None else ()
    direction = "ASC" if oldest_first else "DESC"
    sql = f"{_SELECT} WHERE {chosen} ORDER BY e.seq {direction} LIMIT ?"
    rows, following = await call.services.store.run(
        lambda db: read_page(db.execute(sql, (*chosen.args, limit + 1)), limit, bodies)
    )
    result: dict[str, Any] = {"events": [event_view(row, body_bytes) for row in rows]}
    if following is not None:
        result["cursor"] = f"{following['event_time']}-{following['event_seq']}"
    return result


async def list_logs_under_both_names(call: Call) -> Any:
    """List logs as `events`, which the SDKs read, and as `logs`, as the API description says."""
    result = await list_logs(call)
    return result | {"logs": result["events"]}


def _body_bytes(parameters: Parameters) -> int | None:
    """Return how many bytes of each body `trimBody` asks for; `true` means none."""
    text = parameters.get("trimBody", ["false"])[-1].strip().lower()
    if text in ("true", "false", ""):
        return 0 if text == "true" else None
    return integer(parameters, "trimBody")


def _choose_states(chosen: Where, names: list[str]) -> None:
    if unknown := [name for name in names if name not in _STATES]:
        raise bad_request(f"state: {unknown[0]!r} is not one of {', '.join(_STATES)}")
    states = [state for name in names for state in _STATES[name]]
    chosen.add(f"e.state IN ({', '.join('?' * len(states))})", *states)


ROUTES: list[Route] = [
    ("GET", "events", list_logs),
    ("GET", "logs", list_logs_under_both_names),
]
