"""The dead letters, newest first."""

import sqlite3
from functools import partial
from typing import Any

from ..api.filters import Where
from ..protocol.options import parse_options
from .filters import given, narrow
from .page_request import PageRequest, Shown
from .paging import PAGE, Paged, link, read_cursor
from .rows import ANSWER_SHOWN, body_of, pairs_of

_SELECT = (
    "SELECT d.seq, d.id, d.time, d.error, d.status, d.response_headers,"
    " substr(d.response_body, 1, ?) AS body, length(d.response_body) AS length,"
    " m.id AS message_id, m.url, m.headers, m.retried, m.topic, m.queue, m.schedule_id,"
    " m.flow_key, m.labels"
    " FROM dead_letters d"
    " CROSS JOIN messages m ON m.seq = d.message"
)


async def list_letters(request: PageRequest) -> Shown:
    """Show one page of dead letters.

    Raises:
        ApiError: 400, for an invalid cursor.
    """
    chosen = _chosen(request)
    if before := read_cursor(request):
        chosen.add("d.seq < ?", before[1])
    rows = await request.services.store.run(partial(_select, chosen=chosen))
    older = link(request, before=f"0-{rows[PAGE - 1]['seq']}") if len(rows) > PAGE else None
    newest = link(request, before=None) if "before" in request.query else None
    items = [_item(row) for row in rows[:PAGE]]
    return Shown(
        "dead_letters.html",
        {"page": Paged(items, newest, older), "filters": given(request)},
    )


async def matching_ids(request: PageRequest, *, up_to: int) -> list[str]:
    """Return ids of dead letters that the request's filters select, with a seq of at most `up_to`.

    Returns one page of them; once those are gone, the next call returns others.
    """
    chosen = _chosen(request)
    chosen.add("d.seq <= ?", up_to)
    rows = await request.services.store.run(partial(_select, chosen=chosen))
    return [row["id"] for row in rows[:PAGE]]


async def newest_seq(request: PageRequest) -> int:
    row = await request.services.store.run(
        lambda db: db.execute("SELECT coalesce(max(seq), 0) FROM dead_letters").fetchone()
    )
    return int(row[0])


def _chosen(request: PageRequest) -> Where:
    chosen = Where()
    narrow(chosen, request)
    return chosen


def _select(db: sqlite3.Connection, *, chosen: Where) -> list[sqlite3.Row]:
    sql = f"{_SELECT} WHERE {chosen} ORDER BY d.seq DESC LIMIT {PAGE + 1}"
    return db.execute(sql, (ANSWER_SHOWN, *chosen.args)).fetchall()


def _item(row: sqlite3.Row) -> dict[str, Any]:
    options = parse_options(pairs_of(row))
    return dict(row) | {
        "method": options.method,
        "labels": options.labels,
        "response_headers": pairs_of(row, "response_headers"),
        "response_body": body_of(row["body"], row["length"]),
    }
