"""A message's current state, in one word, and what it waits for."""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from ..engine.message import Message
from ..protocol.destinations import origin_of
from ..services import Services
from ..store.schema import CANCELLED, CANCELLING, DELIVERED, FAILED


class MessageState(Enum):
    """The states that the page shows; a value is the text of its badge."""

    DELAYED = "Delayed"
    WAITING = "Waiting"
    ACTIVE = "Active"
    RETRYING = "Retrying"
    DELIVERED = "Delivered"
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"


_STORED = {
    CANCELLING: MessageState.CANCELLING,
    DELIVERED: MessageState.DELIVERED,
    FAILED: MessageState.FAILED,
    CANCELLED: MessageState.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Observer:
    """Reads the state of a message from its row and the engine's memory."""

    services: Services
    now: int

    def state(self, row: sqlite3.Row) -> MessageState:
        if row["state"] in _STORED:
            return _STORED[row["state"]]
        message = self._live(row)
        if message is not None and message.in_flight:
            return MessageState.ACTIVE
        if row["retried"]:
            return MessageState.RETRYING
        return MessageState.DELAYED if row["due_at"] > self.now else MessageState.WAITING

    def held_back_by(self, row: sqlite3.Row) -> str | None:
        """Return why a due message has not been sent yet, None if it is not due."""
        message = self._live(row)
        if message is None or message.in_flight or message.due_at > self.now:
            return None
        limits = self.services.engine.limits
        if message.queue and not message.has_place:
            paused = limits.queue(message.queue).paused
            return f"queue {message.queue}" + (", which is paused" if paused else " to reach it")
        if message.flow and not message.has_slot:
            paused = limits.flow(message.flow.key).paused
            return f"flow-control key {message.flow.key}" + (", which is paused" if paused else "")
        return f"a free connection to {origin_of(message.url)}"

    def _live(self, row: sqlite3.Row) -> Message | None:
        return self.services.engine.messages.get(row["seq"])
