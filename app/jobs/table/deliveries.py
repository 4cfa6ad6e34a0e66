"""What QStash brought, read: the beginning of an attempt."""

from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any

from ..values.firing_rules import Rules
from ..values.ids import OwnerId
from .memory import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A verified request, read.

    Attributes:
        payload: What the job type's schema loaded, for the handler.
        broken: What it raised instead, if that is a bug in it and not a verdict.
        arrived_at: On the clock of `time.monotonic`; no lease begins before.
        envelope: The JSON as it came, for the row of a job that nobody here enqueued.
        message_id: QStash's id of the message. Like `schedule_id` and `retried` it comes by a
            header, which is not signed: nothing that must not happen may hang on it alone.
        retried: How often QStash tried before.
        max_retries: How often it tries again, if that is known.
        token: What brought it, which is signed.
        is_firing: It comes from a schedule.
        tags: Those that its row has, if it is first seen now.
        edition: By which enqueue its payload took another's place.
        cron: That schedule's.
        rules: That schedule's, where it has any.
        scheduled_for: The moment of the cron that it is of; set when it is first delivered.
    """

    job_id: str
    payload: Any = field(repr=False)  # trackers show the variables of frames that still run
    envelope: dict[str, Any] = field(repr=False)
    user_id: OwnerId | None
    organization_id: OwnerId | None
    message_id: str | None
    schedule_id: str | None
    retried: int
    max_retries: int | None
    token: Token
    is_firing: bool
    tags: tuple[str, ...] = ()
    edition: str | None = None
    broken: BaseException | None = None
    cron: str | None = None
    rules: Rules | None = None
    scheduled_for: datetime | None = None
    arrived_at: float = field(default_factory=monotonic)
