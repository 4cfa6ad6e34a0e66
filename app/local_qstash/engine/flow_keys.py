"""Flow-control keys: their settings, kept on disk and in the limits."""

import sqlite3
from collections.abc import Iterable

from ..protocol.options import FlowControl
from ..store.batch import Batch
from ..store.store import Store
from .engine import Engine
from .limits import FlowLimit

_UPSERT = "INSERT OR REPLACE INTO flow_keys VALUES (?, ?, ?, ?, ?, ?, ?)"


class FlowKeys:
    """The flow-control keys of one server. A key exists from the first message that names it."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine, self._store = engine, store
        self.limits = engine.limits.flows
        self._unwritten: set[str] = set()

    def load(self, connection: sqlite3.Connection) -> None:
        for row in connection.execute("SELECT * FROM flow_keys"):
            limit = self._engine.limits.flow(row["key"])
            limit.parallelism, limit.rate, limit.period = (
                row["parallelism"],
                row["rate"],
                row["period"],
            )
            limit.paused = bool(row["paused"])
            limit.pinned_parallelism = bool(row["pinned_parallelism"])
            limit.pinned_rate = bool(row["pinned_rate"])

    def adopt(self, flow: FlowControl | None, batch: Batch) -> None:
        """Take over the values of a new message, in the message's commit."""
        if flow is None:
            return
        new = flow.key not in self.limits
        limit = self._engine.limits.flow(flow.key)
        if limit.adopt(flow) or new:
            self._unwritten.add(flow.key)
        if flow.key in self._unwritten:
            row = _row(flow.key, limit)
            batch.calls.append(lambda db: db.execute(_UPSERT, row))

    def confirm(self, flows: Iterable[FlowControl | None]) -> None:
        """Take down that what `adopt` took over is on disk."""
        self._unwritten -= {flow.key for flow in flows if flow is not None}

    async def pause(self, key: str, *, paused: bool) -> None:
        """Hold back, or let go on, every message with this key."""
        limit = self._engine.limits.flow(key)
        limit.paused = paused
        await self._save(key, limit)

    async def pin(
        self, key: str, *, parallelism: int | None, rate: int | None, period: int | None
    ) -> None:
        """Fix the given values against those that messages bring; the rate's count restarts."""
        limit = self._engine.limits.flow(key)
        if parallelism is not None:
            limit.parallelism, limit.pinned_parallelism = parallelism, True
        if rate is not None:
            limit.rate, limit.period, limit.pinned_rate = rate, period or 1, True
        limit.period_start, limit.starts = self._engine.clock.now(), 0
        await self._save(key, limit)

    async def unpin(self, key: str, *, parallelism: bool, rate: bool) -> None:
        """Let the next message's values win again."""
        limit = self._engine.limits.flow(key)
        limit.pinned_parallelism = limit.pinned_parallelism and not parallelism
        limit.pinned_rate = limit.pinned_rate and not rate
        await self._save(key, limit)

    def reset_rate(self, key: str) -> None:
        limit = self._engine.limits.flow(key)
        limit.period_start, limit.starts = self._engine.clock.now(), 0
        self._engine.limits.pump_flow(key)

    async def _save(self, key: str, limit: FlowLimit) -> None:
        row = _row(key, limit)
        await self._store.run(lambda db: db.execute(_UPSERT, row))
        self._engine.limits.pump_flow(key)


def _row(key: str, limit: FlowLimit) -> tuple[object, ...]:
    return (
        key,
        limit.parallelism,
        limit.rate,
        limit.period,
        limit.paused,
        limit.pinned_parallelism,
        limit.pinned_rate,
    )
