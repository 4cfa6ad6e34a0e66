"""What holds a message back once it is due: its queue, its flow-control key, its destination.

Each limit gives messages out in the order they came, as far as it allows. A cancelled message
leaves when its turn comes, and takes up nothing.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..clock import Clock
from ..protocol.destinations import origin_of
from ..protocol.options import FlowControl
from ..store.schema import PENDING
from .message import Message
from .timers import Timers

Step = Callable[[Message], None]


@dataclass(slots=True)
class OriginLimit:
    """At most `most` requests at a time to one origin, so that one that hangs stops no other."""

    most: int
    active: int = 0
    waiting: deque[Message] = field(default_factory=deque)

    def take(self) -> Iterator[Message]:
        """Give out the messages that may go now; each takes one of the `most` places."""
        while self.waiting and self.active < self.most:
            message = self.waiting.popleft()
            self.active += message.state == PENDING
            yield message


@dataclass(slots=True)
class QueueLimit:
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
class FlowLimit:
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


class Limits:
    """The way of a due message to its attempt: queue, then flow control, then its origin.

    `start` begins an attempt, `drop` ends a cancelled message.
    """

    def __init__(
        self, clock: Clock, timers: Timers, *, per_origin: int, start: Step, drop: Step
    ) -> None:
        self._clock, self._timers = clock, timers
        self._per_origin = per_origin
        self._start, self._drop = start, drop
        self._origins: dict[str, OriginLimit] = {}
        self.queues: dict[str, QueueLimit] = {}
        self.flows: dict[str, FlowLimit] = {}

    def due(self, message: Message) -> None:
        """Let a message on its way whose time has come."""
        if message.state != PENDING:
            self._drop(message)
        elif message.queue and not message.has_place:
            self.queue(message.queue).waiting.append(message)
            self.pump_queue(message.queue)
        else:
            self._to_flow(message)

    def attempt_over(self, message: Message) -> None:
        """Free what an attempt used: its connection and its flow-control slot."""
        origin = origin_of(message.url)
        self._origins[origin].active -= 1
        self._pump_origin(origin)
        self._leave_flow(message)

    def message_over(self, message: Message) -> None:
        """Free a finished message's place in its queue, unless its callbacks still hold it."""
        self._leave_flow(message)
        holds = message.has_place or message.held_queue is not None
        if message.place is not None and holds:
            name, holder = message.place
            self.queue(name).release(holder)
            self.pump_queue(name)

    def queue(self, name: str) -> QueueLimit:
        return self.queues.setdefault(name, QueueLimit())

    def flow(self, key: str) -> FlowLimit:
        return self.flows.setdefault(key, FlowLimit())

    def pump_queue(self, name: str) -> None:
        for message in self.queue(name).take():
            self._pass(message, self._to_flow)

    def pump_flow(self, key: str) -> None:
        limit = self.flow(key)
        for message in limit.take(self._clock.now()):
            self._pass(message, self._to_origin)
        moment = limit.opens_at()
        if moment is not None and moment != limit.wakes_at:
            limit.wakes_at = moment
            self._timers.at(moment, lambda: self.pump_flow(key))

    def _to_flow(self, message: Message) -> None:
        if message.flow:
            self.flow(message.flow.key).waiting.append(message)
            self.pump_flow(message.flow.key)
        else:
            self._to_origin(message)

    def _leave_flow(self, message: Message) -> None:
        if message.flow and message.has_slot:
            message.has_slot = False
            self.flow(message.flow.key).active -= 1
            self.pump_flow(message.flow.key)

    def _to_origin(self, message: Message) -> None:
        origin = origin_of(message.url)
        if origin not in self._origins:
            self._origins[origin] = OriginLimit(self._per_origin)
        self._origins[origin].waiting.append(message)
        self._pump_origin(origin)

    def _pump_origin(self, origin: str) -> None:
        limit = self._origins[origin]
        for message in limit.take():
            self._pass(message, self._start)
        idle = not limit.active and not limit.waiting
        if (
            idle and self._origins.get(origin) is limit
        ):  # dropping a message may have come back here
            del self._origins[origin]

    def _pass(self, message: Message, step: Step) -> None:
        (step if message.state == PENDING else self._drop)(message)
