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
    """The `beat` of one job; writes in a transaction of its own, so that others see it at once."""

    def __init__(self, lease: Lease, seconds: float) -> None:
        self._lease = lease
        self._seconds = seconds
        self._next = 0.0

    def __call__(self, progress: dict[str, Any] | None) -> None:
        finished = progress is not None and progress["done"] == progress["total"]
        if monotonic() < self._next and not finished:
            return
        cancelled = in_transaction(lambda tx: leases.beat(tx, self._lease, progress, self._seconds))
        self._next = monotonic() + EVERY
        if cancelled is None:
            raise LeaseLost
        if cancelled:
            raise JobCancelled
