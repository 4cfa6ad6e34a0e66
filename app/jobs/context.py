"""What a handler gets besides its payload."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any

from .values.ids import OwnerId, header_safe

Beat = Callable[[dict[str, Any] | None], None]


def _no_beat(_: dict[str, Any] | None) -> None:
    """Used where there is no row: in a test, or under `flask jobs run`."""


def _no_fence() -> None:
    """Used where there is no lease to check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt at a job.

    Attributes:
        id: The same for all its attempts: a UUID, unless another producer set it.
        attempt: 1 for the first execution, counted across all retries.
        generation: How many times a person retried the job by hand.
        leg: 1 for the first delivery's part of the work, one more for each `Continue`.
        state: The state of the last `Continue`; None in the first leg.
        expires_at: When the handler's time is up, by `time.monotonic`.
        schedule_id: The schedule that made the job, if one did.
        scheduled_for: The moment of its cron that the job is of, in UTC: the right one also if the
            firing came late, was put off or made up for.
        batch_id: The batch or workflow that it is of, or whose end it follows.
        results: In a workflow, what each step that has completed returned, by the step's name.
    """

    id: str
    type: str
    attempt: int
    generation: int
    expires_at: float
    leg: int = 1
    state: dict[str, Any] | None = None
    message_id: str | None = None
    schedule_id: str | None = None
    scheduled_for: datetime | None = None
    user_id: OwnerId | None = None
    organization_id: OwnerId | None = None
    batch_id: str | None = None
    results: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    beat: Beat = field(default=_no_beat, repr=False, compare=False)
    look: Callable[[], None] = field(default=_no_fence, repr=False, compare=False)
    look_again: Callable[[], None] = field(default=_no_fence, repr=False, compare=False)

    def progress(self, done: int, total: int | None = None, note: str | None = None) -> None:
        """Report the handler's progress; written at most once a second, so call it freely.

        Also does what `check` does.
        """
        self.beat({"done": done, "total": total, "note": note})

    def check(self) -> None:
        """Stop here if the job was cancelled or taken over, and keep the lease otherwise.

        Looks at most once a second.

        Raises:
            JobCancelled, LeaseLost: Do not catch them: the work rolls back, correctly recorded.
        """
        self.beat(None)

    def fence(self) -> None:
        """Do what `check` does, and query the database now: call it before an external effect.

        A process that was paused for long (a suspended machine, a call that blocked) learns here
        that another one has its job, before it calls out and not too late.

        Raises:
            JobCancelled, LeaseLost, JobTimeout: Do not catch them, as for `check`.
        """
        self.look()

    @property
    def deadline(self) -> float:
        """Seconds until the handler is stopped, never negative: pass it to your clients."""
        return max(0.0, self.expires_at - monotonic())

    @property
    def idempotency_key(self) -> str:
        """The key for effects outside the database.

        It is the same for all of QStash's retries and all legs, and new when a person retries the
        job.
        """
        return f"{header_safe(self.id)}/{self.generation}"


#: The job whose handler is running in this thread: for log lines and the database's time limit.
current_job: ContextVar[Job | None] = ContextVar("current_job", default=None)
