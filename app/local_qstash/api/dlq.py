"""The dead-letter queue: messages that failed for good."""

import json
import sqlite3
from typing import Any

from ..engine.intake import Order
from ..errors import bad_request, not_found
from ..protocol.headers import Pair
from .filters import MESSAGE_FILTERS, Parameters, check_known, cursor_seq, integer, read_page, where
from .http import Call, Route, reply
from .publish import config_pairs
from .views import dead_letter_view

_SELECT = (
    "SELECT m.*, d.seq AS letter_seq, d.id AS letter_id, d.status AS letter_status,"
    " d.response_headers AS letter_headers, d.response_body AS letter_body"
    " FROM dead_letters d JOIN messages m ON m.seq = d.message"
)
_FILTERS = MESSAGE_FILTERS | {
    "dlqIds": lambda value: ("d.id = ?", value),
    "dlqId": lambda value: ("d.id = ?", value),
    "responseStatus": lambda value: ("d.status = CAST(? AS INTEGER)", value),
}
_KNOWN = {*_FILTERS, "fromDate", "toDate", "count", "cursor", "order"}
_PAGE = 100
_BODIES = ("body", "letter_body")


async def list_letters(call: Call) -> Any:
    rows, cursor = await _page(call, call.query(), bodies=_BODIES)
    return _with_cursor({"messages": [dead_letter_view(row) for row in rows]}, cursor)


async def get_letter(call: Call) -> Any:
    return dead_letter_view(await _existing(call))


async def delete_letter(call: Call) -> None:
    row = await _existing(call)
    await call.services.store.run(lambda db: _delete(db, [row]))


async def delete_letters(call: Call) -> Any:
    """Delete what the query or the body selects; a cursor in the answer means: call again."""
    parameters = call.query()
    if (body := await call.json(optional=True)) is not None:
        parameters |= _selection(body)
    rows, cursor = await _page(call, parameters)
    await call.services.store.run(lambda db: _delete(db, rows))
    return _with_cursor({"deleted": len(rows)}, cursor)


async def retry_letter(call: Call) -> Any:
    row = await _existing(call)
    return reply((await _retry(call, [row]))[0], 201)


async def retry_letters(call: Call) -> Any:
    rows, cursor = await _page(call, call.query())
    return reply(_with_cursor({"responses": await _retry(call, rows)}, cursor), 201)


async def _page(
    call: Call, parameters: Parameters, *, bodies: tuple[str, ...] = ()
) -> tuple[list[sqlite3.Row], str | None]:
    """Return the dead letters that the parameters select, and where the next page begins.

    With `bodies`, a page ends early for large ones.
    """
    check_known(parameters, _KNOWN)
    limit = integer(parameters, "count", _PAGE, limits=(1, _PAGE))
    newest_first = "latestFirst" in parameters.get("order", ())
    chosen = where(parameters, _FILTERS, time_column="d.time")
    if (seq := cursor_seq(parameters)) is not None:
        chosen.add(f"d.seq {'<=' if newest_first else '>='} ?", seq)
    direction = "DESC" if newest_first else "ASC"
    sql = f"{_SELECT} WHERE {chosen} ORDER BY d.seq {direction} LIMIT ?"
    rows, following = await call.services.store.run(
        lambda db: read_page(db.execute(sql, (*chosen.args, limit + 1)), limit, bodies)
    )
    if following is None:
        return rows, None
    return rows, f"{following['created_at']}-{following['letter_seq']}"


async def _existing(call: Call) -> sqlite3.Row:
    row: sqlite3.Row | None = await call.services.store.run(
        lambda db: db.execute(f"{_SELECT} WHERE d.id = ?", (call.names[0],)).fetchone()
    )
    if row is None:
        raise not_found("dead letter", call.names[0])
    return row


async def _retry(call: Call, rows: list[sqlite3.Row]) -> list[dict[str, Any]]:
    """Publish dead letters again, with the request's overrides, and remove them."""
    overrides = tuple(pair for pair in config_pairs(call.headers) if pair[0] != "content-type")
    drafts = [draft for row in rows for draft in call.services.intake.draft(_order(row, overrides))]
    for draft, row in zip(drafts, rows, strict=True):
        draft.message.topic, draft.message.endpoint = row["topic"], row["endpoint"]
    receipts = await call.services.intake.accept(drafts, also=[lambda db: _delete(db, rows)])
    return [{"messageId": receipt.message_id, "url": receipt.url} for receipt in receipts]


def _order(row: sqlite3.Row, overrides: tuple[Pair, ...]) -> Order:
    replaced = {name for name, _ in overrides}
    kept = [(name, value) for name, value in json.loads(row["headers"]) if name not in replaced]
    return Order(
        destination=row["url"],
        pairs=(*kept, *overrides),
        body=row["body"],
        queue=row["queue"],
        schedule_id=row["schedule_id"],
        caller_ip=row["caller_ip"],
    )


def _delete(db: sqlite3.Connection, rows: list[sqlite3.Row]) -> None:
    letters = [(row["letter_seq"],) for row in rows]
    db.executemany("DELETE FROM dead_letters WHERE seq = ?", letters)


def _selection(body: object) -> dict[str, list[str]]:
    ids = body.get("dlqIds") if isinstance(body, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, str) and one for one in ids):
        raise bad_request('the body is {"dlqIds": [...]}, a list of dead-letter ids')
    return {"dlqIds": ids}


def _with_cursor(result: dict[str, Any], cursor: str | None) -> dict[str, Any]:
    return result | ({"cursor": cursor} if cursor else {})


ROUTES: list[Route] = [
    ("GET", "dlq", list_letters),
    ("GET", "dlq/*", get_letter),
    ("DELETE", "dlq", delete_letters),
    ("DELETE", "dlq/*", delete_letter),
    ("POST", "dlq/retry", retry_letters),
    ("POST", "dlq/retry/*", retry_letter),
]
