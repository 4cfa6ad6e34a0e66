"""Reading unfinished messages back from the state file."""

import json
import sqlite3

from ..protocol.options import parse_options
from .message import Message

_COLUMNS = (
    "seq, id, state, url, headers, created_at, not_before, due_at, retried, topic, endpoint,"
    " queue, schedule_id, caller_ip, held_queue, held_by"
)


def load_unfinished(connection: sqlite3.Connection) -> tuple[int, list[Message]]:
    """Return the highest sequence number ever used, and all messages with work left, in order."""
    last = connection.execute(
        "SELECT max(coalesce((SELECT max(seq) FROM messages), 0),"
        " coalesce((SELECT max(message) FROM events), 0))"
    ).fetchone()[0]
    found = connection.execute(f"SELECT {_COLUMNS} FROM messages WHERE state < 2 ORDER BY seq")  # noqa: S608 - constants
    return last, [_message(row) for row in found]


def load_body(connection: sqlite3.Connection, seq: int) -> bytes:
    row = connection.execute("SELECT body FROM messages WHERE seq = ?", (seq,)).fetchone()
    return bytes(row["body"])


def _message(row: sqlite3.Row) -> Message:
    fields = dict(row)
    pairs = tuple((name, value) for name, value in json.loads(fields.pop("headers")))
    return Message(**fields, options=parse_options(pairs), body=None)
