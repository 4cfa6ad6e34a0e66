"""Durable state by group commit: while one batch is being fsynced, the next one fills.

One task does all work on the file, in the order of the calls, so a read sees every write before
it. Writes with a waiter (an accepted message) start a commit at once; writes without one (an
attempt's log entry) join those, or follow within
`_LINGER` seconds. Losing such a write means one repeated delivery, never a lost one.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .batch import Batch
from .schema import open_database

_T = TypeVar("_T")
_LINGER = 0.02
_RETRY = 1.0

logger = logging.getLogger(__name__)


class Store:
    """The state file. Created, used and closed on one event loop."""

    def __init__(self, path: Path | None) -> None:
        self._connection = open_database(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qstash-store")
        self._unhurried = Batch()
        self._urgent: list[tuple[Batch, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def load(self, call: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `call` at once; only while a server starts and nothing else uses the file."""
        return call(self._connection)

    async def commit(self, batch: Batch) -> None:
        """Write `batch` and return when it is on disk.

        Raises:
            sqlite3.Error: nothing of the batch was written.
        """
        done = asyncio.get_running_loop().create_future()
        self._urgent.append((batch, done))
        self._start()
        await done

    def soon(self) -> Batch:
        """Return the next batch to be written, for the caller to add to."""
        if self._timer is None and self._committing is None:
            self._timer = asyncio.get_running_loop().call_later(_LINGER, self._start)
        return self._unhurried

    async def run(self, call: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `call` after everything written so far; what it changes is on disk on return."""
        result: list[_T] = []
        await self.commit(Batch(calls=[lambda connection: result.append(call(connection))]))
        return result[0]

    async def close(self) -> None:
        await self.run(lambda _connection: None)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._committing is None and (self._urgent or self._unhurried):
            self._committing = asyncio.get_running_loop().create_task(self._commit_gathered())

    async def _commit_gathered(self) -> None:
        try:
            await self._commit_group()
            while self._urgent:
                await self._commit_group()
        finally:
            self._committing = None
            if self._unhurried:
                self.soon()

    async def _commit_group(self) -> None:
        urgent, self._urgent = self._urgent, []
        unhurried, self._unhurried = self._unhurried, Batch()
        group = Batch()
        group.merge(unhurried)
        for batch, _ in urgent:
            group.merge(batch)
        try:
            await self._execute(group)
        except Exception as error:  # noqa: BLE001 - each waiter gets its own below
            await self._one_by_one(unhurried, urgent, error)
        else:
            for _, done in urgent:
                if not done.done():  # cancelled by a waiter that hung up
                    done.set_result(None)

    async def _one_by_one(
        self,
        unhurried: Batch,
        urgent: list[tuple[Batch, asyncio.Future[None]]],
        error: Exception,
    ) -> None:
        """Find what cannot be written, so that one bad batch does not fail the others."""
        logger.error("Cannot write to the state file: %s", error)
        for batch, done in urgent:
            [failure] = await asyncio.gather(self._execute(batch), return_exceptions=True)
            if done.done():
                continue
            if isinstance(failure, BaseException):
                done.set_exception(failure)
            else:
                done.set_result(None)
        if left := await self._write_apart(unhurried):
            left.merge(self._unhurried)
            self._unhurried = left
            await asyncio.sleep(_RETRY)

    async def _write_apart(self, batch: Batch) -> Batch:
        """Write the rows without a waiter, and return those that a later try may write.

        A row that can never be written is dropped and logged, so that it does not block the others.
        """
        left = Batch()
        for piece in batch.pieces():
            try:
                await self._execute(piece)
            except sqlite3.OperationalError:  # a full disk, for example
                left.merge(piece)
            except Exception:
                logger.exception("Dropped a log entry that cannot be written")
        return left

    async def _execute(self, batch: Batch) -> None:
        """Write one batch: its rows here, slow parts (calls, fsync) in the thread.

        Thousands of rows would be slow in the thread: SQLite releases the GIL for every row, and a
        busy event loop returns it only after milliseconds.
        """
        try:
            batch.write_rows(self._connection)
            await asyncio.get_running_loop().run_in_executor(
                self._thread, batch.commit, self._connection
            )
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
