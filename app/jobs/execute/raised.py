"""Turns what a handler raised into an outcome."""

import logging

from flask import current_app, got_request_exception

from ..errors import (
    HandlerSilent,
    Interruption,
    JobCancelled,
    JobTimeout,
    LeaseLost,
    PermanentError,
    RetryLater,
    ShuttingDown,
)
from ..outcome import Cancelled, Failed, Lost, Outcome, Released, Rescheduled
from ..payload import failures

log = logging.getLogger(__name__)


def outcome_of(error: BaseException, timeout: float) -> Outcome:
    """Return the outcome of a handler's exception; the handler may take `timeout` seconds."""
    outcome: Outcome
    match error:
        case RetryLater():
            outcome = Rescheduled(error.delay, failures.message(error))
        case JobCancelled():
            outcome = Cancelled()
        case HandlerSilent():
            outcome = _silent(error)
        case LeaseLost():
            outcome = Lost()
        case ShuttingDown():
            said = "the process was told to stop before the handler had finished"
            outcome = Released(error=said)
        case Interruption():
            outcome = timed_out(timeout, error)
        case _:
            outcome = failure(error)
    return outcome


def failure(error: BaseException) -> Failed:
    found = failures.describe(error)
    return Failed(
        kind=type(error).__name__,
        error=found.error,
        traceback=found.traceback,
        permanent=isinstance(error, PermanentError),
        retry_after=failures.retry_after(error),
        exception=found.exception,
    )


def timed_out(seconds: float, why: Interruption) -> Failed:
    """Describe the timeout, and where in the handler it happened."""
    said = f"the handler was stopped after its timeout of {seconds:g} s"
    return Failed(JobTimeout.__name__, said, failures.describe(why).traceback, exception=why)


def _silent(why: HandlerSilent) -> Failed:
    said = (
        "the handler gave no sign of life for longer than its heartbeat, so another delivery could "
        "have begun beside it: call job.progress() or job.check() more often"
    )
    return Failed(HandlerSilent.__name__, said, failures.describe(why).traceback, exception=why)


def announce(exception: BaseException) -> None:
    """Report a failure to error trackers, as for any view of the app."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - public in the docs
    try:
        got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=exception)
    except Exception:
        log.exception("[jobs] A receiver of got_request_exception failed")
