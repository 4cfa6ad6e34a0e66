"""One message: its options, every attempt, and the next step."""

import sqlite3
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import not_found
from ..protocol.headers import Pair
from ..protocol.options import parse_options
from ..store.schema import PENDING
from .message_state import Observer
from .page_request import PageRequest, Shown
from .rows import ANSWER_SHOWN, BODY_SHOWN, Body, body_of, pairs_of, request_body, request_headers

_EVENTS_SHOWN = 150  # an attempt has at most three: ACTIVE, ERROR, and RETRY or FAILED
_MESSAGE = (
    "SELECT m.seq, m.id, m.state, m.url, m.headers, m.created_at, m.not_before, m.due_at,"
    " m.retried, m.topic, m.endpoint, m.queue, m.schedule_id, m.caller_ip, m.finished_at,"
    " substr(m.body, 1, ?) AS body, length(m.body) AS length, d.id AS letter_id"
    " FROM messages m LEFT JOIN dead_letters d ON d.message = m.seq WHERE m.id = ?"
)
_EVENTS = (
    "SELECT * FROM (SELECT seq, time, state, next_delivery, error, status, response_headers,"
    " substr(response_body, 1, ?) AS body, length(response_body) AS length"
    " FROM events WHERE message = ? ORDER BY seq DESC LIMIT ?) ORDER BY seq"
)


@dataclass(slots=True)
class Step:
    """A point of the timeline: an attempt, or one entry of the log."""

    state: str
    time: int
    number: int | None = None  # from 1; None for an attempt that the server's stop interrupted
    ended: int | None = None
    error: str | None = None
    status: int | None = None
    headers: tuple[Pair, ...] = ()
    body: Body | None = None
    next_time: int | None = None
    states: list[str] = field(default_factory=list)

    @property
    def is_attempt(self) -> bool:
        return "ACTIVE" in self.states


async def show_message(request: PageRequest) -> Shown:
    """Show one message.

    Raises:
        ApiError: 404, if the id is unknown or its message was deleted.
    """
    message_id = request.name or ""
    row, events = await request.services.store.run(partial(_read, message_id=message_id))
    if row is None:
        raise not_found("message", message_id)
    options = parse_options(pairs_of(row))
    observer = Observer(request.services, request.now)
    values: dict[str, Any] = {
        "message": row,
        "options": options,
        "message_state": observer.state(row),
        "held_back_by": observer.held_back_by(row),
        "steps": timeline(events, retried=row["retried"], in_flight=_in_flight(request, row)),
        "request_headers": request_headers(options),
        "request_body": request_body(row, options),
        "is_pending": row["state"] == PENDING,
        "can_deliver_now": _can_deliver_now(request, row),
    }
    return Shown("message.html", values)


def timeline(events: list[sqlite3.Row], *, retried: int, in_flight: bool) -> list[Step]:
    """Fold the log of one message into steps, its attempts numbered from 1."""
    steps: list[Step] = []
    for event in events:
        if not _belongs_to_attempt(steps, event):
            steps.append(Step(event["state"], event["time"], states=[event["state"]]))
        else:
            _add(steps[-1], event)
    _number([step for step in steps if step.is_attempt], retried, in_flight=in_flight)
    return steps


def _belongs_to_attempt(steps: list[Step], event: sqlite3.Row) -> bool:
    outcomes = ("ERROR", "DELIVERED", "RETRY")
    return bool(steps) and steps[-1].is_attempt and event["state"] in outcomes


def _add(attempt: Step, event: sqlite3.Row) -> None:
    attempt.states.append(event["state"])
    if event["state"] == "RETRY":
        attempt.next_time = event["next_delivery"]
        return
    attempt.state, attempt.ended = event["state"], event["time"]
    if event["state"] == "ERROR":
        attempt.error, attempt.status = event["error"], event["status"]
        attempt.headers = pairs_of(event, "response_headers")
        attempt.body = body_of(event["body"], event["length"] or 0)


def _number(attempts: list[Step], retried: int, *, in_flight: bool) -> None:
    """Count back from the newest attempt, since the oldest ones may not have been read."""
    for attempt in attempts:
        if attempt.ended is None and not (in_flight and attempt is attempts[-1]):
            attempt.state = "INTERRUPTED"
    counted = [attempt for attempt in attempts if attempt.state != "INTERRUPTED"]
    waits = bool(counted) and "RETRY" in counted[-1].states
    newest = retried if waits else retried + 1
    for position, attempt in enumerate(reversed(counted)):
        attempt.number = newest - position


def _read(
    db: sqlite3.Connection, *, message_id: str
) -> tuple[sqlite3.Row | None, list[sqlite3.Row]]:
    row = db.execute(_MESSAGE, (BODY_SHOWN, message_id)).fetchone()
    events = (
        db.execute(_EVENTS, (ANSWER_SHOWN, row["seq"], _EVENTS_SHOWN)).fetchall() if row else []
    )
    return row, events


def _in_flight(request: PageRequest, row: sqlite3.Row) -> bool:
    message = request.services.engine.messages.get(row["seq"])
    return message is not None and message.in_flight


def _can_deliver_now(request: PageRequest, row: sqlite3.Row) -> bool:
    waits = row["due_at"] > request.now and not _in_flight(request, row)
    return row["state"] == PENDING and row["queue"] is None and waits
