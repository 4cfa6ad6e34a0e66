"""What a handler's return or exception means, as a value; `answers` tells QStash."""

from collections.abc import Callable
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from .errors import (
    Continue,
    HandlerSilent,
    Interruption,
    JobCancelled,
    JobTimeout,
    LeaseLost,
    PermanentError,
    RetryLater,
    ShuttingDown,
)
from .payload import failures
from .values import jsonb

MAX_RESULT_BYTES = 64 * 1024
#: Seconds after which QStash should try again what could not be done just now.
RETRY_SOON = 5
#: Seconds after which a job that its process had to let go is delivered again.
RELEASE_DELAY = 5


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; `result` is JSON-able and small enough to be stored.

    Attributes:
        progress: What the handler last reported, where that is not on the row yet.
    """

    result: dict[str, Any] | None
    progress: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised.

    Attributes:
        kind: The exception's class; all that QStash is told.
        permanent: No further attempt can help.
        retry_after: Seconds after which QStash should try again, where the error knows.
        dead: No attempt will follow, also where another could have helped.
        exception: What was raised, for logs and error trackers; see `failures.tell`.
    """

    kind: str
    error: str
    traceback: str
    permanent: bool
    retry_after: float | None = None
    dead: bool = False
    exception: BaseException | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """The handler asked to run again after `delay` seconds."""

    delay: float
    error: str
    kind: str = "rescheduled"


@dataclass(frozen=True, slots=True)
class Continued:
    """The handler did a part, and goes on from `state` in another delivery; else as `Completed`."""

    state: dict[str, Any]
    progress: dict[str, Any] | None = None
    legs: int = 0


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The handler stopped because somebody had cancelled its job."""

    error: str = "cancelled while it ran"


@dataclass(frozen=True, slots=True)
class Lost:
    """Another delivery took the job over; whatever the handler did is thrown away."""


Outcome = Completed | Continued | Failed | Rescheduled | Cancelled | Lost


def of(handle: Callable[[], Any], *, after: dict[str, Any] | None) -> Completed | Continued:
    """Call a handler that goes on from `after`, and read how it ended.

    Raises:
        PermanentError: What it returned, or wants to go on from, cannot be stored.
        Exception: Whatever it raises but `Continue`.
    """
    try:
        return completed(handle())
    except Continue as asked:
        return continued(asked, after=after)


def completed(result: Any) -> Completed:
    """Check a handler's result, and say in JSON what has a usual form there.

    Raises:
        PermanentError: It is not a dict of values that can be said in JSON, or None.
    """
    if result is None:
        return Completed(None)
    if is_dataclass(result) and not isinstance(result, type):
        result = jsonb.said(result)
    if not isinstance(result, dict):
        raise PermanentError(f"a handler returns a dict or None, not {type(result).__name__}")
    try:
        encoded = jsonb.dumps(result, default=jsonb.said)
    except ValueError as error:
        raise PermanentError(f"the handler's result cannot be stored as JSON: {error}") from error
    if (size := len(encoded.encode())) > MAX_RESULT_BYTES:
        return Completed({"truncated": True, "bytes": size})
    return Completed(jsonb.loads(encoded))


def continued(asked: Continue, *, after: dict[str, Any] | None) -> Continued:
    """Check what a handler wants to go on from.

    Raises:
        PermanentError: It is not a dict of JSON values, too large, or what this leg began with.
    """
    if not isinstance(asked.state, dict):
        found = type(asked.state).__name__
        raise PermanentError(f"Continue takes a dict of JSON values, not {found}")
    try:
        encoded = jsonb.dumps(asked.state)
    except ValueError as error:
        raise PermanentError(f"Continue's state cannot be stored as JSON: {error}") from error
    if (size := len(encoded.encode())) > MAX_RESULT_BYTES:
        limit = f"more than {MAX_RESULT_BYTES}: keep what is large elsewhere, and its place here"
        raise PermanentError(f"Continue's state has {size} bytes, {limit}")
    state = jsonb.loads(encoded)
    if state == after:
        raise PermanentError(
            "Continue was raised with the state that this leg began with, so the job would never "
            "end: let the state tell how far it has come"
        )
    return Continued(state)


def failed(error: BaseException) -> Failed | Rescheduled:
    """Read what a handler raised."""
    if isinstance(error, RetryLater):
        return Rescheduled(delay=error.delay, error=failures.message(error))
    return failure(error)


def failure(error: BaseException) -> Failed:
    told = failures.tell(error)
    return Failed(
        kind=type(error).__name__,
        error=told.error,
        traceback=told.traceback,
        permanent=isinstance(error, PermanentError),
        retry_after=failures.retry_after(error),
        exception=told.exception,
    )


def interrupted(why: Interruption, timeout: float) -> Outcome:
    """Read why a handler was made to stop."""
    match why:
        case JobCancelled():
            return Cancelled()
        case HandlerSilent():
            return silent(why)
        case LeaseLost():
            return Lost()
        case ShuttingDown():
            return released("the process was told to stop before the handler had finished")
        case _:
            return timed_out(timeout, why)


def released(
    why: str = "the process was told to stop before the handler was called",
) -> Rescheduled:
    """Put the job back at no cost of its retries."""
    return Rescheduled(delay=RELEASE_DELAY, error=why, kind="released")


def timed_out(seconds: float, why: BaseException | None = None) -> Failed:
    """Say that the time was up, and where in the handler that was."""
    message = f"the handler was stopped after its timeout of {seconds:g} s"
    where = failures.tell(why).traceback if why else ""
    return Failed(JobTimeout.__name__, message, where, permanent=False, exception=why)


def silent(why: HandlerSilent) -> Failed:
    message = (
        "the handler gave no sign of life for longer than its heartbeat, so another delivery could "
        "have begun beside it: call job.progress() or job.check() more often"
    )
    where = failures.tell(why).traceback
    return Failed(HandlerSilent.__name__, message, where, permanent=False, exception=why)


def gave_up(asked: Rescheduled, times: int) -> Failed:
    message = f"asked to run later for the {times + 1}th time, which is too often: {asked.error}"
    return Failed(RetryLater.__name__, message, traceback="", permanent=True)


def too_many_legs(legs: int) -> Failed:
    message = f"asked to continue after leg {legs}, and JOBS_MAX_LEGS allows no more"
    return Failed(Continue.__name__, message, traceback="", permanent=True)


def unpublished(asked: Rescheduled) -> Failed:
    """Return the answer to give when the job could not be published anew: QStash retries."""
    return Failed(
        RetryLater.__name__, asked.error, traceback="", permanent=False, retry_after=asked.delay
    )


def not_handed_over() -> Failed:
    """Return the answer to give when the next leg could not be published: QStash retries."""
    message = "the next leg is not published yet"
    return Failed(Continue.__name__, message, traceback="", permanent=False, retry_after=RETRY_SOON)
