"""The way of a due message to its attempt: queue, then flow control, then its origin."""

from collections.abc import Callable

from ..clock import Clock
from ..protocol.destinations import origin_of
from ..store.schema import PENDING
from .lanes import FlowLane, OriginLane, QueueLane
from .message import Message
from .timers import Timers

Step = Callable[[Message], None]


class Gates:
    """All lanes of a server. `start` begins an attempt, `drop` ends a cancelled message."""

    def __init__(
        self, clock: Clock, timers: Timers, *, per_origin: int, start: Step, drop: Step
    ) -> None:
        self._clock, self._timers = clock, timers
        self._per_origin = per_origin
        self._start, self._drop = start, drop
        self._origins: dict[str, OriginLane] = {}
        self.queues: dict[str, QueueLane] = {}
        self.flows: dict[str, FlowLane] = {}

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

    def queue(self, name: str) -> QueueLane:
        return self.queues.setdefault(name, QueueLane())

    def flow(self, key: str) -> FlowLane:
        return self.flows.setdefault(key, FlowLane())

    def pump_queue(self, name: str) -> None:
        for message in self.queue(name).take():
            self._pass(message, self._to_flow)

    def pump_flow(self, key: str) -> None:
        lane = self.flow(key)
        for message in lane.take(self._clock.now()):
            self._pass(message, self._to_origin)
        moment = lane.opens_at()
        if moment is not None and moment != lane.wakes_at:
            lane.wakes_at = moment
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
            self._origins[origin] = OriginLane(self._per_origin)
        self._origins[origin].waiting.append(message)
        self._pump_origin(origin)

    def _pump_origin(self, origin: str) -> None:
        lane = self._origins[origin]
        for message in lane.take():
            self._pass(message, self._start)
        idle = not lane.active and not lane.waiting
        if idle and self._origins.get(origin) is lane:  # dropping a message may have come back here
            del self._origins[origin]

    def _pass(self, message: Message, step: Step) -> None:
        (step if message.state == PENDING else self._drop)(message)
