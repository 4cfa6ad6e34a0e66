"""Time limits: the database, the handler's own clients and, last, the thread itself.

The thread is interrupted as Dramatiq's TimeLimit middleware does it: another thread sets
`JobTimeout` as its pending exception, which is raised at its next bytecode. A call that blocks in C
(a socket read, say) is therefore only ended by a limit of its own: hand it `job.deadline`.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from threading import Condition, Lock, Thread, get_ident
from time import monotonic, sleep

from app.jobs.errors import Interruption, JobTimeout


class _Limit:
    """One handler's time.

    The handler's thread writes `armed`, the watching thread the other two. The handler takes no
    lock after arming: an exception that arrives between taking one and the block that gives it
    back would leave it taken for ever.
    """

    def __init__(self, expires_at: float) -> None:
        self.expires_at = expires_at
        self.thread_id = get_ident()
        self.armed = False
        self.firing = False
        self.fired = False

    def fire(self, why: type[Interruption]) -> bool:
        """Interrupt the handler if it is still inside and nothing else has, and tell whether.

        Never called by its own thread.
        """
        with _firing:
            if self.firing:
                return False
            self.firing = True
            if inside := self.armed:
                _set_exception(self.thread_id, why)
            self.fired = True
            return inside

    def disarm(self) -> None:
        """Leave, and take back an exception that is set but not yet raised.

        `fire` announces itself before it looks at `armed`, so one of the two sees the other.
        """
        self.armed = False
        if self.firing:
            while not self.fired:
                sleep(0)
            _set_exception(self.thread_id, None)


class _Watch:
    """One daemon thread that interrupts handlers whose time is up, started by the first of them.

    Threads do not survive a fork, so a forked worker's first handler starts another.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._heap: list[tuple[float, int, _Limit]] = []
        self._order = count()
        self._thread: Thread | None = None

    def add(self, limit: _Limit) -> None:
        with self._changed:
            heappush(self._heap, (limit.expires_at, next(self._order), limit))
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="jobs-deadline", daemon=True)
                self._thread.start()
            if self._heap[0][2] is limit:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                left = self._heap[0][0] - monotonic() if self._heap else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                limit = heappop(self._heap)[2]
            limit.fire(JobTimeout)


_watch = _Watch()
_firing = Lock()
_running: set[_Limit] = set()


@contextmanager
def time_limit(expires_at: float) -> Iterator[None]:
    """Raise `JobTimeout` in the calling thread if it is still inside at `expires_at`.

    Args:
        expires_at: On the clock of `time.monotonic`.
    """
    limit = _Limit(expires_at)
    _watch.add(limit)
    try:
        _running.add(limit)
        limit.armed = True
        if monotonic() >= expires_at:  # the watch may have come by before it was armed
            raise JobTimeout
        yield
    finally:
        # The exception may arrive on the way to this, too, though only once; and here rather than
        # in a function, as the entry of one is where Python raises it, before any `try` in it.
        while limit in _running:
            try:
                limit.disarm()
                _running.discard(limit)
            except Interruption:
                continue


def interrupt_all(why: type[Interruption]) -> int:
    """Raise `why` in every handler that runs in this process; return how many that interrupts."""
    return sum(limit.fire(why) for limit in list(_running))


def _set_exception(thread_id: int, exception: type[Interruption] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), ctypes.py_object(exception) if exception else None
    )
