"""Handlers: functions registered for a source's events."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from app.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """The webhook that a handler gets.

    Attributes:
        data: The sender's JSON.
        delivery_id: The sender's id, the same for its repeats. It and the rest are None if the job
            was enqueued by hand.
        received_at: When it was first received.
        ip_address: The address that sent it.
    """

    source: str
    event: str
    data: Any
    delivery_id: str | None = None
    received_at: datetime | None = None
    ip_address: str | None = None


Handler = Callable[[Webhook, Job], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Registration:
    """A handler and the events it handles; both patterns may have wildcards."""

    source: str
    event: str
    handler: Handler

    @property
    def name(self) -> str:
        return f"{self.handler.__module__.rpartition('.')[2]}.{self.handler.__name__}"

    def wants(self, source: str, event: str) -> bool:
        return fnmatchcase(source, self.source) and fnmatchcase(event, self.event)


REGISTRATIONS: list[Registration] = []


def on(source: str, *events: str) -> Callable[[Handler], Handler]:
    """Register a handler `(webhook, job) -> dict | None`.

    All handlers of one webhook run in the transaction that completes its job: either all of their
    work in `db.session` is committed, once, or none of it. If one raises, all are retried.

    Args:
        source: Its declared name; `*` means all sources.
        *events: Names, or patterns such as `email.*`; without any, all events.
    """

    def register(handler: Handler) -> Handler:
        REGISTRATIONS.extend(Registration(source, event, handler) for event in events or ("*",))
        return handler

    return register


def handlers_of(source: str, event: str) -> dict[str, Handler]:
    """Return the handlers by name, in the order of their modules' names and of registration."""
    found = [one for one in REGISTRATIONS if one.wants(source, event)]
    return {one.name: one.handler for one in sorted(found, key=lambda one: one.handler.__module__)}
