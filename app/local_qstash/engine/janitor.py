"""Keeps the state file bounded: finished messages, logs and dead letters go by age and count."""

import asyncio
import contextlib
import logging
import sqlite3

from ..clock import Clock
from ..settings import Limits
from ..store.store import Store

_INTERVAL = 10.0
_STEP = 500  # rows per transaction, so that accepting messages never waits long

_OLD_LETTERS = "DELETE FROM dead_letters WHERE time < ?"
_OLD_KEYS = "DELETE FROM deduplications WHERE expires < ?"
# Older than :since, beyond the newest :kept, or any while the file is :full; oldest first. A dead
# letter keeps its message.
_PRUNABLE = """
SELECT seq FROM messages
WHERE state >= 2
  AND (:full OR finished_at < :since OR seq <= coalesce((
      SELECT seq FROM messages WHERE state >= 2 ORDER BY seq DESC LIMIT 1 OFFSET :kept), 0))
  AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE dead_letters.message = messages.seq)
ORDER BY seq LIMIT :step
"""
_USED = (
    "SELECT (page_count - freelist_count) * page_size"
    " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)

logger = logging.getLogger(__name__)


class Janitor:
    """Prunes every few seconds, a little at a time."""

    def __init__(self, clock: Clock, store: Store, limits: Limits) -> None:
        self._clock, self._store, self._limits = clock, store, limits
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def prune(self) -> None:
        """Delete all that is past its time or over the count."""
        more = True
        while more:
            more = await self._store.run(self._prune_step)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                await self.prune()
            except sqlite3.Error as error:
                logger.warning("Cannot prune the state file: %s", error)

    def _prune_step(self, db: sqlite3.Connection) -> bool:
        now = self._clock.now()
        since = now - self._limits.retention_seconds * 1000
        db.execute(_OLD_LETTERS, (since,))
        db.execute(_OLD_KEYS, (now,))
        bounds = {
            "full": db.execute(_USED).fetchone()[0] > self._limits.retained_bytes,
            "since": since,
            "kept": self._limits.retained_messages,
            "step": _STEP,
        }
        seqs = [(row["seq"],) for row in db.execute(_PRUNABLE, bounds)]
        db.executemany("DELETE FROM events WHERE message = ?", seqs)
        db.executemany("DELETE FROM messages WHERE seq = ?", seqs)
        return len(seqs) == _STEP
