"""A long handler's signs of life: each stores progress, extends the lease and sees a cancel."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from ..context import Job
from ..deadline import beaten, raise_if_due
from ..errors import JobCancelled, LeaseLost
from ..table import attempt_sql, attempts
from ..table.attempts import Attempt
from ..table.workflows import Results

#: Minimum seconds between two writes; the signs of life between them cost nothing.
EVERY = 1.0


@dataclass(slots=True, eq=False)
class Heartbeat:
    """The `beat` of one job; writes in its own transaction, so that others see it at once.

    Attributes:
        unwritten: Progress that came too soon after the last write; stored with the outcome.
    """

    attempt: Attempt
    unwritten: dict[str, Any] | None = None
    _next: float = 0.0
    _looked_at: float = field(default_factory=monotonic)
    _told_the_end: bool = False

    def __call__(self, progress: dict[str, Any] | None) -> None:
        raise_if_due()
        self.unwritten = progress or self.unwritten
        if not self._is_first_end(progress) and monotonic() < self._next:
            return
        progress, self.unwritten = self.unwritten, None
        self._ask(progress)

    def look(self) -> None:
        """Check now whether the lease is still ours, and extend it."""
        raise_if_due()
        self._ask(None)

    def look_again(self) -> None:
        """Do so unless it was just done: cheap enough for every flush."""
        if monotonic() >= self._looked_at + EVERY:
            self.look()

    def _ask(self, progress: dict[str, Any] | None) -> None:
        asked_at = monotonic()
        seconds = self.attempt.config.heartbeat or self.attempt.lease.timeout
        cancelled = attempts.beat(self.attempt, progress, seconds)
        self._looked_at = monotonic()
        self._next = self._looked_at + EVERY
        if cancelled is None:
            raise LeaseLost
        if cancelled:
            raise JobCancelled
        beaten(asked_at + seconds + attempt_sql.LEASE_MARGIN)

    def _is_first_end(self, progress: dict[str, Any] | None) -> bool:
        """Tell whether all is done, once: the handler's work after that may take long."""
        if self._told_the_end or progress is None or progress["done"] != progress["total"]:
            return False
        self._told_the_end = True
        return True


def new_job(attempt: Attempt, heartbeat: Heartbeat) -> Job:
    """Return what the handler gets of an attempt."""
    lease = attempt.lease
    return Job(
        id=attempt.job_id,
        type=attempt.config.type,
        attempt=lease.attempt,
        generation=lease.generation,
        expires_at=monotonic() + lease.timeout,
        leg=lease.leg,
        state=lease.state,
        message_id=attempt.delivery.message_id,
        schedule_id=lease.schedule_id,
        scheduled_for=lease.scheduled_for,
        user_id=lease.user_id,
        organization_id=lease.organization_id,
        batch_id=lease.batch_id,
        results={} if lease.batch_id is None else Results(lease.batch_id),
        beat=heartbeat,
        look=heartbeat.look,
        look_again=heartbeat.look_again,
    )
