"""What holds a message back once it is due: its queue, its flow-control key, its destination.

Each lane gives messages out in the order they came, as far as its limit allows. A cancelled
message leaves when its turn comes, and takes up nothing.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..protocol.options import FlowControl
from ..store.schema import PENDING
from .message import Message


@dataclass(slots=True)
class OriginLane:
    """At most `limit` requests at a time to one origin, so that one that hangs stops no other."""

    limit: int
    active: int = 0
    waiting: deque[Message] = field(default_factory=deque)

    def take(self) -> Iterator[Message]:
        """Give out the messages that may go now; each takes one of the `limit` places."""
        while self.waiting and self.active < self.limit:
            message = self.waiting.popleft()
            self.active += message.state == PENDING
            yield message


@dataclass(slots=True)
class QueueLane:
    """FIFO: a place is taken from a message's first attempt until it and its callbacks ended."""

    parallelism: int = 1
    paused: bool = False
    places: Counter[int] = field(default_factory=Counter)  # holder's seq -> messages holding it
    waiting: deque[Message] = field(default_factory=deque)

    def take(self) -> Iterator[Message]:
        while self.waiting and not self.paused and len(self.places) < self.parallelism:
            message = self.waiting.popleft()
            if message.state == PENDING:
                message.has_place = True
                self.hold(message.seq)
            yield message

    def hold(self, holder: int) -> None:
        self.places[holder] += 1

    def release(self, holder: int) -> None:
        self.places[holder] -= 1
        if self.places[holder] <= 0:
            del self.places[holder]


@dataclass(slots=True)
class FlowLane:
    """Limits shared by the messages with one key: at most N at a time, at most N starts per period.

    The newest message's values win unless they are pinned. Periods in seconds, times in unix ms.
    """

    parallelism: int | None = None
    rate: int | None = None
    period: int = 1
    paused: bool = False
    pinned_parallelism: bool = False
    pinned_rate: bool = False
    active: int = 0
    period_start: int = 0
    starts: int = 0
    wakes_at: int = 0
    waiting: deque[Message] = field(default_factory=deque)

    def adopt(self, flow: FlowControl) -> bool:
        """Take over a new message's values and return whether that changed anything."""
        before = (self.parallelism, self.rate, self.period)
        if not self.pinned_parallelism:
            self.parallelism = flow.parallelism
        if not self.pinned_rate:
            self.rate, self.period = flow.rate, flow.period
        return before != (self.parallelism, self.rate, self.period)

    def take(self, now: int) -> Iterator[Message]:
        while self.waiting and not self.paused and self._open(now):
            message = self.waiting.popleft()
            if message.state == PENDING:
                self.active += 1
                self.starts += 1
                message.has_slot = True
            yield message

    def opens_at(self) -> int | None:
        """Return when waiting helps: the period's end if its starts are what is used up."""
        exhausted = self.rate is not None and self.starts >= self.rate
        return self.period_start + self.period * 1000 if self.waiting and exhausted else None

    def _open(self, now: int) -> bool:
        if now >= self.period_start + self.period * 1000:
            self.period_start, self.starts = now, 0
        rate_left = self.rate is None or self.starts < self.rate
        return rate_left and (self.parallelism is None or self.active < self.parallelism)
