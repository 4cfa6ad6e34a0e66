"""Messages: get one, cancel some, deliver one now."""

import sqlite3
from typing import Any

from ..engine.message import Message
from ..errors import bad_request, not_found
from ..store.schema import PENDING
from .filters import MESSAGE_FILTERS, URL_FILTERS, Where, check_known, integer, where
from .http import Call, Route
from .views import message_view

# The SDKs' own suites read a message right after publishing it to an address that answers at
# once, so a delivered one stays readable for a moment.
_LINGER = 2_000  # ms
_FILTERS = MESSAGE_FILTERS | URL_FILTERS
_MAX_COUNT = 500


async def get_message(call: Call) -> Any:
    row = await call.services.store.run(lambda db: _find(db, call))
    if row is None:
        raise not_found("message", call.names[0])
    return message_view(row)


async def cancel_message(call: Call) -> Any:
    message = await _waiting(call)
    return {"cancelled": await call.services.engine.cancel([message.seq])}


async def cancel_messages(call: Call) -> Any:
    """Cancel the messages that the query or the body selects; without both, all of them.

    `count` is checked and then ignored, as QStash does: the JavaScript SDK sends 100 with
    `cancel({ all: true })` and promises that nothing is left.
    """
    parameters = call.query()
    if (body := await call.json(optional=True)) is not None:
        parameters |= _selection(body)
    check_known(parameters, {*_FILTERS, "fromDate", "toDate", "count"})
    integer(parameters, "count", limits=(1, _MAX_COUNT))
    chosen = where(parameters, _FILTERS, time_column="m.created_at")
    seqs = await call.services.store.run(lambda db: _select(db, chosen))
    return {"cancelled": await call.services.engine.cancel(seqs)}


async def retry_message(call: Call) -> Any:
    """Deliver a delayed or retry-waiting message at once."""
    message = await _waiting(call)
    if message.queue is not None:
        raise bad_request("a message in a queue keeps its order and cannot be retried by hand")
    if not message.in_flight and message.due_at > call.services.clock.now():
        call.services.engine.deliver_now(message)
    return {"messageId": message.id}


async def _waiting(call: Call) -> Message:
    row = await call.services.store.run(lambda db: _find(db, call))
    message = call.services.engine.messages.get(row["seq"]) if row is not None else None
    if message is None or message.state != PENDING:
        raise not_found("message", call.names[0])
    return message


def _find(db: sqlite3.Connection, call: Call) -> sqlite3.Row | None:
    seen_since = call.services.clock.now() - _LINGER
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM messages WHERE id = ? AND (state = 0 OR (state = 2 AND finished_at >= ?))",
        (call.names[0], seen_since),
    ).fetchone()
    return row


def _selection(body: object) -> dict[str, list[str]]:
    ids = body.get("messageIds") if isinstance(body, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, str) and one for one in ids):
        raise bad_request('the body is {"messageIds": [...]}, a list of message ids')
    return {"messageIds": ids}


def _select(db: sqlite3.Connection, chosen: Where) -> list[int]:
    rows = db.execute(
        f"SELECT m.seq FROM messages m WHERE m.state = 0 AND {chosen} ORDER BY m.seq",  # noqa: S608 - conditions made by filters.py
        chosen.args,
    )
    return [row["seq"] for row in rows]


ROUTES: list[Route] = [
    ("GET", "messages/*", get_message),
    ("DELETE", "messages/*", cancel_message),
    ("DELETE", "messages", cancel_messages),
    ("POST", "messages/*/retry", retry_message),
]
