"""The rows of one transaction, grouped by statement so that SQLite runs each over many rows."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

Row = tuple[Any, ...]
DatabaseCall = Callable[[sqlite3.Connection], Any]

_INSERT_MESSAGE = (
    "INSERT INTO messages (seq, state, id, url, headers, body, created_at, not_before, due_at,"
    " retried, topic, endpoint, queue, schedule_id, caller_ip, flow_key, labels, held_queue,"
    " held_by) VALUES (?, 0" + ", ?" * 17 + ")"
)
_INSERT_EVENT = (
    "INSERT INTO events (message, time, state, next_delivery, error, status, response_headers,"
    " response_body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_RESCHEDULE = "UPDATE messages SET due_at = ?, retried = ? WHERE seq = ?"
_SET_STATE = "UPDATE messages SET state = ?, retried = ?, finished_at = ? WHERE seq = ?"
_INSERT_DEAD_LETTER = (
    "INSERT INTO dead_letters (id, message, time, error, status, response_headers, response_body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)

_REMEMBER_KEY = "INSERT OR REPLACE INTO deduplications VALUES (?, ?, ?)"


@dataclass(slots=True)
class Batch:
    """Rows to write together. The order of the kinds is fixed: a message before its events."""

    messages: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)  # message, time, state, next, error, response
    reschedules: list[Row] = field(default_factory=list)  # due_at, retried, seq
    states: list[Row] = field(default_factory=list)  # state, retried, finished_at, seq
    dead_letters: list[Row] = field(default_factory=list)
    keys: list[Row] = field(default_factory=list)  # a deduplication's key, its message's id, expiry
    calls: list[DatabaseCall] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.messages or self.states or self.calls or self.reschedules)

    def merge(self, other: "Batch") -> None:
        self.messages += other.messages
        self.events += other.events
        self.reschedules += other.reschedules
        self.states += other.states
        self.dead_letters += other.dead_letters
        self.keys += other.keys
        self.calls += other.calls

    def pieces(self) -> Iterator["Batch"]:
        """Yield a batch for each row and call, in a valid order."""
        for kind in fields(self):
            for one in getattr(self, kind.name):
                yield Batch(**{kind.name: [one]})

    def write_rows(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction and write every row."""
        connection.execute("BEGIN IMMEDIATE")
        for statement, rows in (
            (_INSERT_MESSAGE, self.messages),
            (_INSERT_EVENT, self.events),
            (_RESCHEDULE, self.reschedules),
            (_SET_STATE, self.states),
            (_INSERT_DEAD_LETTER, self.dead_letters),
            (_REMEMBER_KEY, self.keys),
        ):
            if rows:
                connection.executemany(statement, rows)

    def commit(self, connection: sqlite3.Connection) -> None:
        """Make the calls and commit the transaction that `write_rows` began."""
        for call in self.calls:
            call(connection)
        connection.execute("COMMIT")
