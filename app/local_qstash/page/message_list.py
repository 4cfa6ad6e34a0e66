"""The list of messages: one state or all, newest first, filtered."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..api.filters import Where
from ..errors import bad_request
from ..protocol.options import parse_options
from ..store.schema import CANCELLED, CANCELLING, DELIVERED, FAILED, PENDING
from .filters import FILTERS, INDEXED, given, narrow
from .formatting import CAP
from .message_state import Observer
from .page_request import PageRequest, Shown
from .paging import PAGE, Paged, link, read_cursor
from .rows import pairs_of

# A filter that few messages match searches this many and then offers to continue, so that a search
# does not slow down a full server.
_SCANNED = 20_000

_STATES = {
    "all": "1",
    "pending": f"m.state = {PENDING}",
    "retrying": f"m.state = {PENDING} AND m.retried > 0",
    "delivered": f"m.state = {DELIVERED}",
    "failed": f"m.state = {FAILED}",
    "cancelling": f"m.state = {CANCELLING}",
    "cancelled": f"m.state = {CANCELLED}",
}
_KEY = "SELECT m.seq, m.finished_at FROM messages m"
_ROWS = (
    "SELECT m.seq, m.id, m.state, m.url, m.headers, m.created_at, m.due_at, m.retried, m.topic,"
    " m.queue, m.schedule_id, m.flow_key, m.labels, m.finished_at, e.status, e.error"
    " FROM messages m LEFT JOIN events e ON e.seq = (SELECT max(seq) FROM events"
    " WHERE message = m.seq AND state = 'ERROR') WHERE m.seq IN"
)


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of one page. The next begins below `next_key`; `cut` says that the scan ended there."""

    rows: list[sqlite3.Row]
    next_key: tuple[int, int] | None = None
    cut: bool = False


async def list_messages(request: PageRequest) -> Shown:
    """Show one page of messages.

    Raises:
        ApiError: 400, for an unknown state or an invalid cursor.
    """
    state = request.query.get("state", "all")
    if state not in (*_STATES, "active"):
        raise bad_request(f"state: {state!r} is not one of active, {', '.join(_STATES)}")
    order = _Order(state)
    base, wanted = _active(request) if state == "active" else Where([_STATES[state]]), Where()
    order.start(base, read_cursor(request))
    narrow(base, request, INDEXED)
    narrow(wanted, request, FILTERS.keys() - INDEXED)
    found = await request.services.store.run(partial(_find, base=base, wanted=wanted, order=order))
    older = found.next_key and link(request, before=f"{found.next_key[0]}-{found.next_key[1]}")
    newest = link(request, before=None) if "before" in request.query else None
    observer = Observer(request.services, request.now)
    items = [_item(row, observer) for row in found.rows]
    values = {
        "state": state,
        "page": Paged(items, newest, older),
        "scanned": _SCANNED if found.cut else None,
        "filters": given(request),
    }
    return Shown("messages.html", values)


def _active(request: PageRequest) -> Where:
    """Return the condition for messages in flight, which only the engine knows."""
    messages = request.services.engine.messages.values()
    seqs = sorted((one.seq for one in messages if one.in_flight), reverse=True)[:CAP]
    return Where([f"m.seq IN ({', '.join('?' * len(seqs))})"], list(seqs))


def _find(db: sqlite3.Connection, *, base: Where, wanted: Where, order: "_Order") -> _Found:
    """Return the page of rows of `base` that match `wanted`.

    No index helps with `wanted`, so only a limited number of messages is searched.
    """
    limit = _SCANNED if wanted.conditions else PAGE + 1
    looked_at = f"{_KEY} WHERE {base} ORDER BY {order} LIMIT"
    keys = db.execute(
        f"SELECT m.seq, m.finished_at FROM ({looked_at} {limit}) k"  # noqa: S608 - constants and conditions with parameters
        f" CROSS JOIN messages m ON m.seq = k.seq WHERE {wanted} LIMIT {PAGE + 1}",
        (*base.args, *wanted.args),
    ).fetchall()
    rows = _rows(db, [key["seq"] for key in keys[:PAGE]])
    if len(keys) > PAGE:
        return _Found(rows, order.key(keys[PAGE - 1]))
    last = db.execute(f"{looked_at} 1 OFFSET {limit - 1}", base.args).fetchone()
    return _Found(rows, order.key(last) if last else None, cut=last is not None)


@dataclass(frozen=True, slots=True)
class _Order:
    """Newest first, in the order of each state's index."""

    state: str

    @property
    def _by_end(self) -> bool:
        return self.state not in ("all", "active", "retrying")

    @property
    def _seq(self) -> str:
        # Few wait for a retry, so those are found by their own index and sorted; the plus keeps
        # SQLite from scanning all pending messages in order.
        return "+m.seq" if self.state == "retrying" else "m.seq"

    def __str__(self) -> str:
        return "m.finished_at DESC, m.seq DESC" if self._by_end else f"{self._seq} DESC"

    def start(self, chosen: Where, before: tuple[int, int] | None) -> None:
        if before is None:
            return
        finished, seq = before
        if not self._by_end:
            chosen.add(f"{self._seq} < ?", seq)
        elif not finished:
            chosen.add("m.finished_at IS NULL AND m.seq < ?", seq)
        else:
            chosen.add("(m.finished_at, m.seq) < (?, ?)", finished, seq)

    def key(self, row: sqlite3.Row) -> tuple[int, int]:
        return (row["finished_at"] or 0 if self._by_end else 0), row["seq"]


def _rows(db: sqlite3.Connection, seqs: Sequence[int]) -> list[sqlite3.Row]:
    marks = ", ".join("?" * len(seqs))
    found = {row["seq"]: row for row in db.execute(f"{_ROWS} ({marks})", seqs)}
    return [found[seq] for seq in seqs]


def _item(row: sqlite3.Row, observer: Observer) -> dict[str, Any]:
    options = parse_options(pairs_of(row))
    return dict(row) | {
        "message_state": observer.state(row),
        "method": options.method,
        "max_attempts": options.retries + 1,
        "labels": options.labels,
    }
