"""Changes as they happen, for watchers: the page, a test."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .message import Message


@dataclass(frozen=True, slots=True)
class Change:
    """A message reached `state`, one of the states of the log."""

    state: str
    message_id: str
    url: str


class Feed:
    """Hands every change to every subscriber; costs nothing while there is none."""

    def __init__(self) -> None:
        self._subscribers: set[asyncio.Queue[Change]] = set()

    def publish(self, state: str, message: Message) -> None:
        for subscriber in self._subscribers:
            if subscriber.full():  # a watcher that sleeps loses the oldest changes, not our memory
                subscriber.get_nowait()
            subscriber.put_nowait(Change(state, message.id, message.url))

    @contextmanager
    def subscribe(self, size: int = 1000) -> Iterator[asyncio.Queue[Change]]:
        changes: asyncio.Queue[Change] = asyncio.Queue(size)
        self._subscribers.add(changes)
        try:
            yield changes
        finally:
            self._subscribers.discard(changes)
