"""Flow-control keys: their settings, kept on disk and in the lanes."""

import sqlite3
from collections.abc import Iterable

from ..protocol.options import FlowControl
from ..store.batch import Batch
from ..store.store import Store
from .engine import Engine
from .lanes import FlowLane

_UPSERT = "INSERT OR REPLACE INTO flow_keys VALUES (?, ?, ?, ?, ?, ?, ?)"


class FlowKeys:
    """The flow-control keys of one server. A key exists from the first message that names it."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine, self._store = engine, store
        self.lanes = engine.gates.flows
        self._unwritten: set[str] = set()

    def load(self, connection: sqlite3.Connection) -> None:
        for row in connection.execute("SELECT * FROM flow_keys"):
            lane = self._engine.gates.flow(row["key"])
            lane.parallelism, lane.rate, lane.period = (
                row["parallelism"],
                row["rate"],
                row["period"],
            )
            lane.paused = bool(row["paused"])
            lane.pinned_parallelism = bool(row["pinned_parallelism"])
            lane.pinned_rate = bool(row["pinned_rate"])

    def adopt(self, flow: FlowControl | None, batch: Batch) -> None:
        """Take over the values of a new message, in the message's commit."""
        if flow is None:
            return
        new = flow.key not in self.lanes
        lane = self._engine.gates.flow(flow.key)
        if lane.adopt(flow) or new:
            self._unwritten.add(flow.key)
        if flow.key in self._unwritten:
            row = _row(flow.key, lane)
            batch.calls.append(lambda db: db.execute(_UPSERT, row))

    def confirm(self, flows: Iterable[FlowControl | None]) -> None:
        """Take down that what `adopt` took over is on disk."""
        self._unwritten -= {flow.key for flow in flows if flow is not None}

    async def pause(self, key: str, *, paused: bool) -> None:
        """Hold back, or let go on, every message with this key."""
        lane = self._engine.gates.flow(key)
        lane.paused = paused
        await self._save(key, lane)

    async def pin(
        self, key: str, *, parallelism: int | None, rate: int | None, period: int | None
    ) -> None:
        """Fix the given values against those that messages bring; the rate's count restarts."""
        lane = self._engine.gates.flow(key)
        if parallelism is not None:
            lane.parallelism, lane.pinned_parallelism = parallelism, True
        if rate is not None:
            lane.rate, lane.period, lane.pinned_rate = rate, period or 1, True
        lane.period_start, lane.starts = self._engine.clock.now(), 0
        await self._save(key, lane)

    async def unpin(self, key: str, *, parallelism: bool, rate: bool) -> None:
        """Let the next message's values win again."""
        lane = self._engine.gates.flow(key)
        lane.pinned_parallelism = lane.pinned_parallelism and not parallelism
        lane.pinned_rate = lane.pinned_rate and not rate
        await self._save(key, lane)

    def reset_rate(self, key: str) -> None:
        lane = self._engine.gates.flow(key)
        lane.period_start, lane.starts = self._engine.clock.now(), 0
        self._engine.gates.pump_flow(key)

    async def _save(self, key: str, lane: FlowLane) -> None:
        row = _row(key, lane)
        await self._store.run(lambda db: db.execute(_UPSERT, row))
        self._engine.gates.pump_flow(key)


def _row(key: str, lane: FlowLane) -> tuple[object, ...]:
    return (
        key,
        lane.parallelism,
        lane.rate,
        lane.period,
        lane.paused,
        lane.pinned_parallelism,
        lane.pinned_rate,
    )
