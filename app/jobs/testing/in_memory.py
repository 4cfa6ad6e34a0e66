"""A QStash that accepts every message and delivers none, without a network."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from ..errors import PublishUnavailable
from ..message import Message
from ..publish.qstash import Publisher, deduplication_id

# What the extension asks besides: to forget messages, and for dead letters. There are none.
_ANSWERS = SimpleNamespace(
    message=SimpleNamespace(cancel_many=len),
    dlq=SimpleNamespace(list=lambda **_: SimpleNamespace(messages=[], cursor=None)),
)


class InMemoryPublisher(Publisher):
    """Keeps published messages in `messages`, in order, and a repetition once, as QStash would."""

    def __init__(self, *, base_url: str) -> None:
        super().__init__(url="memory", token="", base_url=base_url, budget=0)
        self.messages: list[Message] = []
        self._known: set[str] = set()

    def publish(self, message: Message) -> str:
        """Accept a message; its id is derived from its deduplication id."""
        own = deduplication_id(message)
        if len(self._known) != len(self.messages):  # a test has taken some away
            self._known = {deduplication_id(one) for one in self.messages}
        if own not in self._known:
            self._known.add(own)
            self.messages.append(message)
        return f"msg_{own}"

    def publish_many(self, messages: Sequence[Message]) -> list[str | None]:
        """Accept messages."""
        return [self.publish(message) for message in messages]

    def schedule(self, *_: Any, schedule_id: str | None = None, **__: Any) -> str:
        """Accept a schedule, which never fires."""
        return schedule_id or "scd_1"

    def schedules(self) -> list[Any]:
        """Return the schedules: none."""
        return []

    def call(self, question: Any) -> Any:
        """Answer what a sweep or a cancel asks.

        Raises:
            PublishUnavailable: It is another question; the message names the fixture that can.
        """
        try:
            return question(_ANSWERS)
        except AttributeError as error:
            raise PublishUnavailable(
                "the fixture `published` only accepts messages; with `local_qstash` a real server "
                "answers"
            ) from error
