"""The life of a message: accepted, due, attempted, and delivered, retried or dead."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import count

from ..clock import Clock
from ..settings import Settings
from ..store.batch import Batch
from ..store.schema import CANCELLING, PENDING
from ..store.store import Store
from .limits import Limits
from .loading import load_body, load_unfinished
from .message import Message
from .outcome import Outcome, cancelled, conclude, log
from .timers import Timers
from .transport import Answer, Transport
from .usage import Usage

logger = logging.getLogger(__name__)

# The body of a waiting message stays in memory up to this many bytes; a longer one is read back
# from the file.
_BODY_KEPT = 4096


class Engine:
    """Owns every unfinished message of a server."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        store: Store,
        transport: Transport,
        usage: Usage,
    ) -> None:
        self.clock, self.store, self.transport = clock, store, transport
        self.usage = usage
        self.timers = Timers(clock)
        self.limits = Limits(
            clock,
            self.timers,
            per_origin=settings.limits.parallelism_per_origin,
            start=self._start,
            drop=self._drop,
        )
        self.messages: dict[int, Message] = {}
        self._seq = count(1)
        self._attempts: set[asyncio.Task[None]] = set()

    def load(self) -> None:
        """Resume where the last server on this state file stopped."""
        last, unfinished = self.store.load(load_unfinished)
        self._seq = count(last + 1)
        for message in unfinished:
            self.messages[message.seq] = message
            self._retake_place(message)
        for message in unfinished:
            self._schedule(message)

    async def accept(self, messages: Sequence[Message], batch: Batch) -> None:
        """Make new messages durable together with `batch`, then start them.

        Raises:
            sqlite3.Error: none of them was accepted.
        """
        self.enroll(messages, batch)
        await self.store.commit(batch)
        self.admit(messages)

    def enroll(self, messages: Iterable[Message], batch: Batch) -> None:
        """Number new messages and add their rows to `batch`; `admit` them once it is written."""
        for message in messages:
            self._number(message)
            batch.messages.append(message.row())
            log(batch, message, "CREATED", message.created_at)
            message.pairs = None

    def admit(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.messages[message.seq] = message
            self._schedule(message)

    @property
    def active(self) -> int:
        """The number of attempts in flight."""
        return len(self._attempts)

    async def cancel(self, seqs: Iterable[int]) -> int:
        """Cancel messages and return how many of them were still waiting.

        An attempt that is in flight is not called back, but nothing follows it.
        """
        batch, now = Batch(), self.clock.now()
        found = [self.messages[seq] for seq in seqs if seq in self.messages]
        found = [message for message in found if message.state == PENDING]
        for message in found:
            message.state = CANCELLING
            batch.states.append((CANCELLING, message.retried, None, message.seq))
            log(batch, message, "CANCEL_REQUESTED", now)
        try:
            await self.store.commit(batch)
        except sqlite3.Error:
            for message in found:
                message.state = PENDING
            raise
        return len(found)

    def deliver_now(self, message: Message) -> None:
        """Deliver a waiting message at once; the attempt it waited for is this one."""
        message.due_at = self.clock.now()
        row = (message.due_at, message.retried, message.seq)
        self.store.soon().reschedules.append(row)
        self.limits.due(message)

    async def stop(self, grace: float) -> None:
        """Let attempts in flight end for `grace` seconds; the rest is delivered next time."""
        self.timers.stop()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=grace)
        for attempt in list(self._attempts):
            attempt.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)

    def _retake_place(self, message: Message) -> None:
        """Add a callback, or a message that was started before a restart, to its queue."""
        begun = message.queue is not None and message.retried > 0
        if message.place is not None and (begun or message.held_queue is not None):
            message.has_place = begun
            name, holder = message.place
            self.limits.queue(name).hold(holder)

    def _number(self, message: Message) -> None:
        message.seq = next(self._seq)
        message.created_at = now = self.clock.now()
        message.due_at = max(message.due_at, now)
        message.not_before = message.due_at

    def _schedule(self, message: Message) -> None:
        if message.due_at <= self.clock.now():
            self.limits.due(message)
        else:
            self.timers.at(message.due_at, partial(self._wake, message, message.due_at))
        waits = not message.in_flight
        if waits and message.body is not None and len(message.body) > _BODY_KEPT:
            message.body = None

    def _wake(self, message: Message, due_at: int) -> None:
        # A message that was delivered early leaves a stale timer behind.
        if message.due_at == due_at and message.seq in self.messages:
            self.limits.due(message)

    def _start(self, message: Message) -> None:
        message.in_flight = True
        attempt = asyncio.get_running_loop().create_task(self._attempt(message))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)

    async def _attempt(self, message: Message) -> None:
        log(self.store.soon(), message, "ACTIVE", self.clock.now())
        if message.retried:
            self.usage.count("retries")
        answer = await self._send(message)
        outcome = self._conclude(message, answer)
        message.in_flight = False
        self.limits.attempt_over(message)
        _tell(message, answer, outcome)
        await self._record(message, outcome)

    async def _send(self, message: Message) -> Answer:
        """Make the attempt; any failure becomes its answer, so that it always ends."""
        try:
            if message.body is None:
                message.body = await self.store.run(partial(load_body, seq=message.seq))
            return await self.transport.send(message, message.body)
        except sqlite3.Error as error:
            return Answer(error=f"cannot read the message from the state file: {error}")
        except Exception as error:
            logger.exception("Cannot attempt to deliver %s", message.id)
            return Answer(error=f"internal error: {type(error).__name__}")

    def _conclude(self, message: Message, answer: Answer) -> Outcome:
        """Decide what follows; an answer that cannot be read counts by its status alone."""
        try:
            return conclude(message, answer, self.clock)
        except Exception:
            logger.exception("Cannot process the response to %s", message.id)
            problem = answer.error or "its answer could not be read, see the server's log"
            return conclude(message, Answer(answer.status, error=problem), self.clock, report=False)

    async def _record(self, message: Message, outcome: Outcome) -> None:
        if outcome.retry_at is None:
            self.messages.pop(message.seq, None)  # not to be cancelled while this is written
        self.enroll(outcome.callbacks, outcome.batch)
        if outcome.callbacks or message.place:
            if not await self._commit_until_written(outcome.batch):
                outcome.callbacks.clear()
        else:
            self.store.soon().merge(outcome.batch)
        if outcome.callbacks:
            self.usage.count("callbacks", len(outcome.callbacks))
        for callback in outcome.callbacks:
            self._retake_place(callback)
        self.admit(outcome.callbacks)
        if outcome.retry_at is None:
            self.limits.message_over(message)
        else:
            message.retried, message.asked_until = outcome.retried, outcome.asked_until
            message.due_at = outcome.retry_at
            self._schedule(message)

    async def _commit_until_written(self, batch: Batch) -> bool:
        """Write an outcome that has consequences, and so must survive a full disk.

        Callbacks report it, and the next message of a queue starts after it; neither may happen
        twice if the server is killed. An outcome that can never be written is logged and given up,
        and False returned: its message must not keep its place for ever.
        """
        while True:
            try:
                await self.store.commit(batch)
            except sqlite3.OperationalError:  # a full disk, for example
                await asyncio.sleep(1)
            except Exception:
                logger.exception("Cannot write the outcome of an attempt")
                return False
            else:
                return True

    def _drop(self, message: Message) -> None:
        cancelled(self.store.soon(), message, self.clock.now())
        self.messages.pop(message.seq, None)
        self.limits.message_over(message)


def _tell(message: Message, answer: Answer, outcome: Outcome) -> None:
    """Log a failure in a line; a query in the URL may hold secrets and stays out of it."""
    url, attempt = message.url.partition("?")[0], message.retried + 1
    if outcome.retry_at is not None:
        wait = (outcome.retry_at - time.time() * 1000) / 1000
        logger.info(
            "%s to %s failed (%s), attempt %d; next in %.1f s",
            *(message.id, url, answer.problem, attempt, max(wait, 0)),
        )
    elif outcome.batch.dead_letters:
        logger.warning(
            "%s to %s failed for good (%s) after attempt %d; it is in the dead-letter queue",
            *(message.id, url, answer.problem, attempt),
        )
