"""A message that is not finished yet, as the engine keeps it in memory."""

import json
from dataclasses import dataclass, field

from ..protocol.headers import Pair
from ..protocol.ids import new_id
from ..protocol.options import FlowControl, Options
from ..store.batch import Row
from ..store.schema import PENDING


@dataclass(slots=True, eq=False)
class Message:
    """One destination's delivery. Times in unix ms. `body` is None while it lies on disk only."""

    url: str
    options: Options
    body: bytes | None
    pairs: tuple[Pair, ...] | None = None  # what `options` came from; dropped once stored
    seq: int = 0
    id: str = field(default_factory=lambda: new_id("msg"))
    created_at: int = 0
    not_before: int = 0
    due_at: int = 0
    retried: int = 0
    topic: str | None = None
    endpoint: str | None = None
    queue: str | None = None
    schedule_id: str | None = None
    caller_ip: str | None = None
    held_queue: str | None = None  # the queue in which a callback holds its original's place,
    held_by: int | None = None  # and the original's seq
    state: int = PENDING
    asked_until: int = 0  # the real moment until which its destination said that it is away
    in_flight: bool = False
    has_place: bool = False  # among those its queue works on now
    has_slot: bool = False  # among those its flow-control key lets run now

    @property
    def flow(self) -> FlowControl | None:
        return self.options.flow

    @property
    def place(self) -> tuple[str, int] | None:
        """Return the queue and the holder of the place there that this message keeps taken."""
        if self.held_queue is not None and self.held_by is not None:
            return self.held_queue, self.held_by
        return (self.queue, self.seq) if self.queue else None

    def row(self) -> Row:
        """Return the columns of `store.batch`'s INSERT."""
        flow, labels = self.options.flow, self.options.labels
        return (
            self.seq,
            self.id,
            self.url,
            json.dumps(self.pairs),
            self.body,
            self.created_at,
            self.not_before,
            self.due_at,
            self.retried,
            self.topic,
            self.endpoint,
            self.queue,
            self.schedule_id,
            self.caller_ip,
            flow.key if flow else None,
            f",{','.join(labels)}," if labels else None,
            self.held_queue,
            self.held_by,
        )
