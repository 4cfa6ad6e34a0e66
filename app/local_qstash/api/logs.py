"""Logs: every state that every message went through. The SDKs call them events."""

from typing import Any

from app.local_qstash.errors import bad_request

from .filters import MESSAGE_FILTERS, URL_FILTERS, Where, check_known, integer, values, where
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
_PAGE = 1_000
_SELECT = (
    "SELECT m.*, e.seq AS event_seq, e.time AS event_time, e.state AS event_state,"
    " e.next_delivery AS event_next, e.error AS event_error, e.status AS event_status,"
    " e.response_headers AS event_headers, e.response_body AS event_body"
    " FROM events e CROSS JOIN messages m ON m.seq = e.message"
)


async def list_logs(call: Call) -> Any:
    parameters = call.query()
    check_known(parameters, _KNOWN)
    limit = integer(parameters, "count", _PAGE, limits=(1, _PAGE))
    oldest_first = "earliestFirst" in parameters.get("order", ())
    chosen = where(parameters, _FILTERS, time_column="e.time")
    if "state" in parameters:
        _choose_states(chosen, values(parameters, "state"))
    if "cursor" in parameters:
        _continue_at(chosen, parameters["cursor"][-1], oldest_first=oldest_first)
    direction = "ASC" if oldest_first else "DESC"
    sql = f"{_SELECT} WHERE {chosen} ORDER BY e.seq {direction} LIMIT ?"
    rows = await call.services.store.run(
        lambda db: db.execute(sql, (*chosen.args, limit + 1)).fetchall()
    )
    entries = [event_view(row) for row in rows[:limit]]
    # The SDKs read `events`, the API description says `logs`.
    result: dict[str, Any] = {"events": entries, "logs": entries}
    if len(rows) > limit:
        result["cursor"] = f"{rows[limit]['event_time']}-{rows[limit]['event_seq']}"
    return result


def _choose_states(chosen: Where, names: list[str]) -> None:
    if unknown := [name for name in names if name not in _STATES]:
        raise bad_request(f"state: {unknown[0]!r} is none of {', '.join(_STATES)}")
    states = [state for name in names for state in _STATES[name]]
    chosen.add(f"e.state IN ({', '.join('?' * len(states))})", *states)


def _continue_at(chosen: Where, cursor: str, *, oldest_first: bool) -> None:
    seq = cursor.rpartition("-")[2]
    if not seq.isdigit():
        raise bad_request(f"cursor: {cursor!r} is not one that a list returned")
    chosen.add(f"e.seq {'>=' if oldest_first else '<='} ?", int(seq))


ROUTES: list[Route] = [("GET", "events", list_logs), ("GET", "logs", list_logs)]
