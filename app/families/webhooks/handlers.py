"""What happens on a webhook: functions registered for a source's events."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from app.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """What a handler is given.

    Attributes:
        data: The sender's JSON.
        delivery_id: The sender's id of it, the same over its repeats. None where a job was
            enqueued by hand.
        received_at: When it first came; likewise.
        ip_address: From where; likewise.
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
    """A handler and the events that it wants; both patterns may have wildcards."""

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

    All handlers of one webhook run in the transaction in which its job completes: all of their
    work in `db.session` is committed, once, or none of it. One that raises has all of them retried.

    Args:
        source: As it is declared; `*` is all sources.
        *events: Names, or patterns such as `email.*`; all events where there are none.
    """

    def register(handler: Handler) -> Handler:
        REGISTRATIONS.extend(Registration(source, event, handler) for event in events or ("*",))
        return handler

    return register


def handlers_of(source: str, event: str) -> dict[str, Handler]:
    """Return the handlers by name, in the order of their modules' names, then as they stand."""
    found = [one for one in REGISTRATIONS if one.wants(source, event)]
    return {one.name: one.handler for one in sorted(found, key=lambda one: one.handler.__module__)}
