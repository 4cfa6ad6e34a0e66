"""One timer for everything that waits: a heap costs little per waiting message, a task does not."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from app.local_qstash.clock import Clock

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
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            heappop(self._heap)[2]()
        self._handle = None
        self._arm()
