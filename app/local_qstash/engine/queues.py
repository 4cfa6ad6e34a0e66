"""Named FIFO queues: their settings, kept on disk and in the limits."""

import sqlite3
from collections.abc import Iterable

from ..settings import Limits
from ..store.batch import Batch
from ..store.store import Store
from .engine import Engine
from .usage import check_number

_UPSERT = (
    "INSERT INTO queues VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
    " parallelism = excluded.parallelism, paused = excluded.paused,"
    " updated_at = excluded.updated_at"
)
_SELECT = (
    "SELECT queues.*, (SELECT count(*) FROM messages"
    " WHERE state = 0 AND messages.queue = queues.name) AS lag FROM queues"
)


class Queues:
    """The queues of one server."""

    def __init__(self, engine: Engine, store: Store, limits: Limits) -> None:
        self._engine, self._store, self._limits = engine, store, limits
        self._known: set[str] = set()

    def load(self, connection: sqlite3.Connection) -> None:
        for row in connection.execute("SELECT * FROM queues"):
            self._known.add(row["name"])
            limit = self._engine.limits.queue(row["name"])
            limit.parallelism, limit.paused = row["parallelism"], bool(row["paused"])

    def ensure(self, name: str | None, batch: Batch) -> None:
        """Create the queue that a message names, with parallelism 1, in the message's commit."""
        if name is None or name in self._known:
            return
        now = self._engine.clock.now()
        batch.calls.append(
            lambda db: db.execute(
                "INSERT OR IGNORE INTO queues VALUES (?, 1, 0, ?, ?)", (name, now, now)
            )
        )

    def confirm(self, names: Iterable[str | None]) -> None:
        """Take down that queues which `ensure` created are on disk."""
        self._known |= {name for name in names if name is not None}

    async def upsert(
        self, name: str, *, parallelism: int | None = None, paused: bool | None = None
    ) -> None:
        """Create or change a queue; what is None stays as it is.

        Raises:
            ApiError: 412, there are too many.
        """
        self.check_room(name)
        limit, now = self._engine.limits.queue(name), self._engine.clock.now()
        row = (
            name,
            limit.parallelism if parallelism is None else parallelism,
            limit.paused if paused is None else paused,
            now,
            now,
        )
        await self._store.run(lambda db: db.execute(_UPSERT, row))
        self._known.add(name)
        limit.parallelism, limit.paused = row[1], row[2]
        self._engine.limits.pump_queue(name)

    async def delete(self, name: str) -> None:
        """Delete a queue and cancel what waits in it."""
        seqs = [message.seq for message in self._engine.messages.values() if message.queue == name]
        await self._engine.cancel(seqs)
        await self._store.run(lambda db: db.execute("DELETE FROM queues WHERE name = ?", (name,)))
        self._known.discard(name)
        limit = self._engine.limits.queue(name)
        limit.parallelism, limit.paused = 1, False
        self._engine.limits.pump_queue(name)

    def check_room(self, name: str | None) -> None:
        """See that a queue is there, or that one more may be made.

        Raises:
            ApiError: 412, there are too many.
        """
        if name is not None and name not in self._known:
            check_number("maxQueues", len(self._known), self._limits.queues)

    async def find(self, name: str | None = None) -> list[sqlite3.Row]:
        """Return the queue of that name if there is one, or all queues, with their lag."""
        where, args = (" WHERE name = ?", (name,)) if name is not None else ("", ())
        return await self._store.run(
            lambda db: db.execute(f"{_SELECT}{where} ORDER BY name", args).fetchall()
        )
