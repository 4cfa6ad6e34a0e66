"""`async def` handlers: run to their end on an event loop of their thread, under the same limits.

A loop that waits runs no Python code in which an exception could be raised. So what interrupts a
handler reaches it there as a cancel of its task, at the `await` where it is, and leaves as the
interruption that it was. All else is as for a function: the thread, the session, the context.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from inspect import iscoroutine
from threading import local
from typing import Any

from .. import deadline
from ..errors import Interruption

#: Seconds that tasks get to end which a handler has left behind.
LEFT_BEHIND = 1.0


class _Loop:
    """A thread's loop, closed when the thread ends; a forked process leaves it alone."""

    def __init__(self) -> None:
        self.loop, self.process = asyncio.new_event_loop(), os.getpid()

    def __del__(self) -> None:
        if self.process == os.getpid() and not self.loop.is_running():
            self.loop.close()


_own = local()


def handled(handler: Callable[[Any, Any], Any], payload: Any, job: Any) -> Any:
    """Call a handler, and return its result."""
    returned = handler(payload, job)
    return run(returned) if iscoroutine(returned) else returned


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns, run to its end by this thread's loop."""
    if _is_in_a_loop():
        coroutine.close()
        raise RuntimeError(
            "an `async def` handler cannot run where an event loop runs already: call what runs "
            "the job, such as `deliver` in a test, from a function that is no coroutine, or by "
            "`await asyncio.to_thread(…)`"
        )
    loop = _loop()
    task = loop.create_task(coroutine)
    asked: list[type[Interruption]] = []

    def cancel(why: type[Interruption]) -> None:
        asked.append(why)
        loop.call_soon_threadsafe(task.cancel)

    deadline.cancel_by(cancel)
    try:
        return loop.run_until_complete(task)
    except asyncio.CancelledError as error:
        if not asked:
            raise
        raise asked[-1] from error
    except BaseExceptionGroup as group:
        raise _interruption_in(group) or group from group.__cause__
    finally:
        _end_what_is_left(loop)
        deadline.cancel_by(None)


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _loop() -> asyncio.AbstractEventLoop:
    """Return this thread's loop, which its next jobs use as well."""
    held: dict[int, _Loop] = _own.__dict__.setdefault("held", {})
    if os.getpid() not in held:
        held[os.getpid()] = _Loop()
    return held[os.getpid()].loop


def _interruption_in(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """Return what a task group of the handler's has wrapped, if that was meant to stop it."""
    found = group.subgroup(Interruption)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]  # type: ignore[assignment]  # in the end it is no group
    return found


def _end_what_is_left(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the tasks that the handler did not wait for: they belong to no other job.

    If one does not end, or the loop itself was interrupted, the next job gets another loop.
    """
    try:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            _, left = loop.run_until_complete(asyncio.wait(left, timeout=LEFT_BEHIND))
    except BaseException:
        _own.__dict__.pop("held", None)
        raise
    if left:
        _own.__dict__.pop("held", None)
