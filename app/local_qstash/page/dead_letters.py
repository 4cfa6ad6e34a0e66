"""The dead letters, newest first."""

import sqlite3
from functools import partial
from typing import Any

from ..api.filters import Where
from ..protocol.options import parse_options
from .filters import given, narrow
from .paging import PAGE, Paged, link, read_cursor
from .rows import ANSWER_SHOWN, body_of, pairs_of
from .visit import Shown, Visit

_SELECT = (
    "SELECT d.seq, d.id, d.time, d.error, d.status, d.response_headers,"
    " substr(d.response_body, 1, ?) AS body, length(d.response_body) AS length,"
    " m.id AS message_id, m.url, m.headers, m.retried, m.topic, m.queue, m.schedule_id,"
    " m.flow_key, m.labels"
    " FROM dead_letters d"
    " CROSS JOIN messages m ON m.seq = d.message"
)


async def list_letters(visit: Visit) -> Shown:
    """Show one page of dead letters.

    Raises:
        ApiError: 400, for an invalid cursor.
    """
    chosen = _chosen(visit)
    if before := read_cursor(visit):
        chosen.add("d.seq < ?", before[1])
    rows = await visit.services.store.run(partial(_select, chosen=chosen))
    older = link(visit, before=f"0-{rows[PAGE - 1]['seq']}") if len(rows) > PAGE else None
    newest = link(visit, before=None) if "before" in visit.query else None
    items = [_item(row) for row in rows[:PAGE]]
    return Shown(
        "dead_letters.html",
        {"page": Paged(items, newest, older), "filters": given(visit)},
    )


async def matching_ids(visit: Visit, *, up_to: int) -> list[str]:
    """Return ids of dead letters that the visit's filters select, with a seq of at most `up_to`.

    Returns one page of them; once those are gone, the next call returns others.
    """
    chosen = _chosen(visit)
    chosen.add("d.seq <= ?", up_to)
    rows = await visit.services.store.run(partial(_select, chosen=chosen))
    return [row["id"] for row in rows[:PAGE]]


async def newest_seq(visit: Visit) -> int:
    row = await visit.services.store.run(
        lambda db: db.execute("SELECT coalesce(max(seq), 0) FROM dead_letters").fetchone()
    )
    return int(row[0])


def _chosen(visit: Visit) -> Where:
    chosen = Where()
    narrow(chosen, visit)
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
