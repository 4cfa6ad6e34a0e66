"""Remembers published messages for ten minutes, so that publishing one again changes nothing."""

import asyncio
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from ..clock import Clock
from ..store.batch import Batch

_WINDOW = 600_000  # ms


@dataclass(slots=True)
class _Entry:
    message_id: str
    expires: int
    # While the first message is still being written, its duplicates wait for that.
    written: asyncio.Future[None] | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The message that a key belongs to: the claimant's own, or an earlier one."""

    message_id: str
    deduplicated: bool
    written: asyncio.Future[None] | None = None

    async def durable(self) -> None:
        """Return when the earlier message is on disk.

        Raises:
            sqlite3.Error: it could not be written.
        """
        if self.written is None:
            return
        try:
            await asyncio.shield(self.written)
        except asyncio.CancelledError:
            if not self.written.cancelled():
                raise  # this request itself was cancelled
            raise sqlite3.OperationalError("the original message could not be written") from None


class Deduplication:
    """The keys of one server; a restart remembers them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT * FROM deduplications WHERE expires > ? ORDER BY expires",
            (self._clock.now(),),
        )
        self._entries = {
            row["key"]: _Entry(row["message_id"], row["expires"], None) for row in rows
        }

    def claim(self, key: str | None, message_id: str) -> Claim:
        """Claim `key` for a new message, or return the message that has it."""
        if key is None:
            return Claim(message_id, deduplicated=False)
        self._expire()
        elder = self._entries.get(key)
        if elder is not None:
            return Claim(elder.message_id, deduplicated=True, written=elder.written)
        written = asyncio.get_running_loop().create_future()
        self._entries[key] = _Entry(message_id, self._clock.now() + _WINDOW, written)
        return Claim(message_id, deduplicated=False)

    def record(self, key: str | None, message_id: str, batch: Batch) -> None:
        if key is not None:
            batch.keys.append((key, message_id, self._entries[key].expires))

    def confirm(self, keys: Iterable[str | None]) -> None:
        for entry in self._claimed(keys):
            if entry.written is not None:
                entry.written.set_result(None)
                entry.written = None

    def forget(self, keys: Iterable[str | None]) -> None:
        """Undo claims whose message was not accepted, and notify waiting duplicates."""
        keys = list(keys)
        for entry in self._claimed(keys):
            if entry.written is not None:
                entry.written.cancel()
        for key in keys:
            self._entries.pop(key or "", None)

    def _claimed(self, keys: Iterable[str | None]) -> list[_Entry]:
        return [self._entries[key] for key in keys if key is not None]

    def _expire(self) -> None:
        # Entries are in the order of their expiry, so the oldest come first.
        now = self._clock.now()
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest].expires > now:
                break
            del self._entries[oldest]
