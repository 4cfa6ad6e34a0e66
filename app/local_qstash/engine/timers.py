"""One timer for everything that waits: a heap costs little per waiting message, a task does not."""

import asyncio
import logging
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from ..clock import Clock

logger = logging.getLogger(__name__)

Wake = Callable[[], object]
_LONGEST = 3600.0  # seconds; the clock may be set while we sleep


class Timers:
    """Call things at real moments, in order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, Wake]] = []
        self._tie = count()
        self._handle: asyncio.TimerHandle | None = None
        self._next = 0

    def at(self, moment: int, wake: Wake) -> None:
        """Call `wake` when the unix millisecond `moment` has come."""
        heappush(self._heap, (moment, next(self._tie), wake))
        if self._handle is None or moment < self._next:
            self._arm()

    def stop(self) -> None:
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._heap:
            self._next = self._heap[0][0]
            seconds = min(max((self._next - self._clock.now()) / 1000, 0), _LONGEST)
            self._handle = asyncio.get_running_loop().call_later(seconds, self._fire)

    def _fire(self) -> None:
        # What is due is taken out first: a call that asks for another at once gets it in the next
        # round, so that nothing can keep the event loop here.
        now, due = self._clock.now(), []
        while self._heap and self._heap[0][0] <= now:
            due.append(heappop(self._heap)[2])
        self._handle = None
        for wake in due:
            try:
                wake()
            except Exception:  # the others' time has come as well
                logger.exception("A timer's call failed")
        self._arm()
