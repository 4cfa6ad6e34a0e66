"""What a long handler's sign of life does: progress is kept, the lease extended, a cancel heard."""

from time import monotonic
from typing import Any

from app.jobs import leases
from app.jobs.errors import JobCancelled, LeaseLost
from app.jobs.leases import Lease
from app.jobs.transactions import in_transaction

#: Seconds between two signs of life that are written; the others cost nothing.
EVERY = 1.0


class Heartbeat:
    """The `beat` of one job; writes in a transaction of its own, so that others see it at once.

    Attributes:
        unwritten: Progress that came too soon after the last to be written; kept with the outcome.
    """

    def __init__(self, lease: Lease, seconds: float) -> None:
        self._lease = lease
        self._seconds = seconds
        self._next = 0.0
        self._told_the_end = False
        self.unwritten: dict[str, Any] | None = None

    def __call__(self, progress: dict[str, Any] | None) -> None:
        self.unwritten = progress or self.unwritten
        if not self._is_first_end(progress) and monotonic() < self._next:
            return
        progress, self.unwritten = self.unwritten, None
        cancelled = in_transaction(lambda tx: leases.beat(tx, self._lease, progress, self._seconds))
        self._next = monotonic() + EVERY
        if cancelled is None:
            raise LeaseLost
        if cancelled:
            raise JobCancelled

    def _is_first_end(self, progress: dict[str, Any] | None) -> bool:
        """Tell whether all is done, once: what the handler does after that may take long."""
        if self._told_the_end or progress is None or progress["done"] != progress["total"]:
            return False
        self._told_the_end = True
        return True
