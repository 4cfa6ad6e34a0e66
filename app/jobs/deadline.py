"""Time limits: the database, the handler's own clients and, last, the thread itself.

A handler whose time is up is interrupted in the first of these ways that reaches it, and again
every second until it has returned:

1. Its next statement, log line or `job.check()` raises the exception (`raise_if_due`).
2. Another thread sets `JobTimeout` as its pending exception, as Dramatiq's TimeLimit middleware
   does; it is raised at the next bytecode. That happens only where the thread cannot leave
   anything half done (see `interruptible`): an exception between acquiring a lock and the block
   that releases it would leave it locked for ever, and every thread that needs it would hang.
3. If neither has helped for seconds, the process itself is replaced (see `recycling`): a call
   that blocks in C cannot be interrupted. From here on the exception is raised wherever the thread
   is, as the process ends anyway. It ends before the job's lease does, so that no other delivery
   starts beside a handler that could not be stopped.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread, get_ident, local
from time import monotonic, sleep
from typing import TYPE_CHECKING

from . import recycling
from .errors import HandlerSilent, Interruption, JobTimeout
from .interruptible import is_in_loop, is_interruptible, is_swallowing

if TYPE_CHECKING:
    from types import FrameType

#: Seconds between two checks of whether a thread may be interrupted.
LOOK_EVERY = 0.003
#: Maximum seconds that the watch sleeps.
LONGEST = 3600.0
#: Seconds for which a thread that has long been in destructors is interrupted continually.
BURST = 0.05
#: Seconds that an interrupted handler gets to clean up before it is interrupted again.
REPEAT_AFTER = 1.0
#: Seconds after which a process is ended if a handler could not be stopped; less than
#: `attempt_sql.LEASE_MARGIN`. During the first half, only interrupts are tried.
END_AFTER = 11.0
#: The same while the database does not respond, when only the process can be stopped.
SILENCE_END_AFTER = 10.0
#: Seconds before the end of a lease by which its handler has ended, or its process.
LEASE_RESERVE = 3.0


class _TakenBack(BaseException):
    """Replaces an exception that is no longer to be raised."""


class Limit:
    """One thread's time.

    The thread itself writes `armed`, the watching thread `firing`. After arming, it acquires no
    lock: an exception between that and the block that releases it would leave it locked for ever.

    Attributes:
        due_at: When it is interrupted next, by `time.monotonic`.
        lease_until: When another delivery may have the job, on the same clock.
        beaten_until: When the handler must have given a sign of life, on the same clock.
        cancel: Makes the event loop that the thread runs hear it, if it runs one.
        interrupted: An exception was set from outside, so the thread's work may be half done.
    """

    def __init__(self, due_at: float, about: str, lease_until: float | None) -> None:
        self.about = about
        self.due_at = due_at
        self.lease_until = lease_until
        self.beaten_until: float | None = None
        self.why: type[Interruption] | None = JobTimeout
        self.cancel: Callable[[type[Interruption]], None] | None = None
        self.thread_id = get_ident()
        self.base: FrameType | None = None
        self.armed = False
        self.firing = False
        self.interrupted = False
        self._overdue_since: float | None = None
        self._told = False

    def fire(self, *, anywhere: bool) -> bool:
        """Interrupt the thread if it is still inside; tell whether the exception will be raised.

        Never called by the thread itself.
        """
        self.firing = True
        heard = False
        if self.armed and self.why and self.cancel is not None and self._is_in_loop():
            heard = True
            self.cancel(self.why)
        elif self.armed and self.why and (anywhere or self._is_interruptible()):
            self.interrupted = heard = True
            _set_exception(self.thread_id, self.why)
        self.firing = False
        return heard

    def disarm(self) -> None:
        """Take back an exception that is set but not yet raised.

        `fire` announces itself before it reads `armed`, so one of the two sees the other.
        """
        while self.firing:
            sleep(0)
        if not self.interrupted:
            return
        # By raising another in its place: up to Python 3.12, clearing it with NULL leaves the
        # interpreter's flag that one is pending, which slows everything down and, under a tracer
        # such as coverage, keeps the thread from ever entering a function again.
        try:
            _set_exception(self.thread_id, _TakenBack)
            while True:
                pass
        except _TakenBack:
            return

    def attend(self, now: float) -> float:
        """Do what is due, and return when to check again."""
        if self.beaten_until is not None and now >= self.beaten_until and self.due_at > now:
            self.beaten_until = None
            self.interrupt(HandlerSilent)
        if now < self.due_at:
            return self.due_at if self.beaten_until is None else min(self.due_at, self.beaten_until)
        if self._overdue_since is None:
            self._overdue_since = now
        end_at = self._end_at(self._overdue_since)
        if now >= end_at and self in running:
            recycling.end(self.about)
        desperate = now >= (self._overdue_since + end_at) / 2
        if desperate and not self._told:
            self._told = True
            recycling.begin(self.about, self.thread_id, seconds=end_at - now)
        if self.fire(anywhere=desperate):
            self.due_at = now + REPEAT_AFTER
            return self.due_at
        if now >= self._overdue_since + REPEAT_AFTER and self._is_swallowing():
            self._fire_until_heard()
        return now + LOOK_EVERY

    def _fire_until_heard(self) -> None:
        """Interrupt a `__del__`, and the code right after it: Python ignores the first exception.

        The two threads take turns as often as possible, so that one exception comes between two
        destructors.
        """
        usual, end = sys.getswitchinterval(), monotonic() + BURST
        sys.setswitchinterval(1e-6)
        try:
            while self.armed and monotonic() < end:
                self.fire(anywhere=self._is_swallowing())
                sleep(0)
        finally:
            sys.setswitchinterval(usual)

    def interrupt(self, why: type[Interruption]) -> bool:
        """Raise this in the thread as soon as possible; tell whether nothing else was pending."""
        if not self.armed or self._overdue_since is not None:
            return False
        self.why, self.due_at = why, monotonic()
        return True

    def _end_at(self, since: float) -> float:
        if self.lease_until is None:
            return since + END_AFTER
        # A process that was paused for long (SIGSTOP, a suspended machine) gets a moment, too.
        return max(since + LEASE_RESERVE, min(since + END_AFTER, self.lease_until - LEASE_RESERVE))

    def _is_swallowing(self) -> bool:
        frame = sys._current_frames().get(self.thread_id)  # noqa: SLF001 - public in the docs
        return frame is not None and is_swallowing(frame, self.base)

    def _is_in_loop(self) -> bool:
        frame = sys._current_frames().get(self.thread_id)  # noqa: SLF001 - public in the docs
        return frame is not None and is_in_loop(frame)

    def _is_interruptible(self) -> bool:
        frame = sys._current_frames().get(self.thread_id)  # noqa: SLF001 - public in the docs
        return frame is not None and is_interruptible(frame, self.base)


class _Silence(Limit):
    """A limit for work that cannot be interrupted, such as our own statements: the process ends."""

    def __init__(self, due_at: float, about: str) -> None:
        super().__init__(due_at, about, lease_until=None)
        self.why = None

    def interrupt(self, why: type[Interruption]) -> bool:  # noqa: ARG002 - as its base has it
        return False

    def _end_at(self, since: float) -> float:
        return since + SILENCE_END_AFTER


class _Watch:
    """One daemon thread that enforces all limits, started by the first of them."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._sleeps_until = 0.0
        self._asked = False
        self._thread: Thread | None = None

    def expect(self, moment: float) -> None:
        """Have the watch check at that moment. Not for a thread that may be interrupted."""
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="jobs-deadline", daemon=True)
                self._thread.start()
            if self._sleeps_until == 0.0:  # it is checking just now, and may have passed this one
                self._asked = True
            elif moment < self._sleeps_until:
                self._changed.notify()

    def forget(self) -> None:
        """Reset in a forked process, which lacks the thread, and where the lock may be held."""
        _Watch.__init__(self)
        running.clear()

    def _run(self) -> None:
        while True:
            now = monotonic()
            look_at = min((limit.attend(now) for limit in list(running)), default=now + LONGEST)
            with self._changed:
                left = look_at - monotonic()
                if left > 0 and not self._asked:
                    self._sleeps_until = look_at
                    self._changed.wait(min(left, LONGEST))
                    self._sleeps_until = 0.0
                self._asked = False


_watch = _Watch()
running: set[Limit] = set()
_own = local()
os.register_at_fork(after_in_child=_watch.forget)


@contextmanager
def time_limit(
    expires_at: float,
    *,
    about: str = "a handler",
    lease_until: float | None = None,
    beaten_until: float | None = None,
) -> Iterator[Limit]:
    """Raise `JobTimeout` in the calling thread if it is still inside at `expires_at`.

    Args:
        expires_at: By `time.monotonic`.
        about: What is limited, for the log.
        lease_until: On the same clock: by then the thread has returned, or the process ends.
        beaten_until: When to raise `HandlerSilent`, unless `beaten` postpones it.
    """
    limit, outer = Limit(expires_at, about, lease_until), _innermost()
    limit.beaten_until = beaten_until
    limit.base = sys._getframe(2)  # noqa: SLF001 - the `with` is there, and contextlib between
    running.add(limit)
    _watch.expect(min(expires_at, beaten_until or expires_at))
    try:
        _own.limit = limit
        limit.armed = True
        if monotonic() >= expires_at:
            raise JobTimeout
        yield limit
    finally:
        # First, and by an assignment, at which Python raises nothing: from here on no other
        # exception is set. The last may still arrive, but only once; and here, not in a function,
        # because Python raises it on entering one, before any `try` in it.
        limit.armed = False
        while limit in running:
            try:
                limit.disarm()
                _own.limit = outer
                limit.base = None
                running.discard(limit)
            except Interruption:
                continue


@contextmanager
def no_silence(seconds: float, about: str) -> Iterator[None]:
    """Replace the process if the caller is still inside after this many seconds.

    For work of a delivery that waits for the database: a server that stops responding without
    closing its connections would never be noticed.
    """
    limit = _Silence(monotonic() + seconds, about)
    running.add(limit)
    _watch.expect(limit.due_at)
    try:
        yield
    finally:
        running.discard(limit)


def raise_if_due() -> None:
    """Raise the calling thread's pending interrupt, if there is one.

    Called where handlers pass often and nothing is half done: before a statement, before a log
    line, in `job.check()`.
    """
    limit = _innermost()
    if limit is None or not limit.armed or limit.why is None or monotonic() < limit.due_at:
        return
    limit.due_at = monotonic() + REPEAT_AFTER
    raise limit.why


def beaten(until: float) -> None:
    """Note a sign of life from the calling thread's handler, which has the job until then."""
    limit = _innermost()
    if limit is not None and limit.beaten_until is not None:
        limit.beaten_until = until


def cancel_by(cancel: Callable[[type[Interruption]], None] | None) -> None:
    """Have this called in place of an exception while the calling thread is in an event loop.

    It is called by another thread.
    """
    limit = _innermost()
    if limit is not None:
        limit.cancel = cancel


def interrupt_all(why: type[Interruption]) -> int:
    """Raise `why` in every handler that runs in this process; return how many that interrupts."""
    interrupted = sum(limit.interrupt(why) for limit in list(running))
    if interrupted:
        _watch.expect(0.0)
    return interrupted


def _innermost() -> Limit | None:
    limit: Limit | None = getattr(_own, "limit", None)
    return limit


def _set_exception(thread_id: int, exception: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), ctypes.py_object(exception)
    )
