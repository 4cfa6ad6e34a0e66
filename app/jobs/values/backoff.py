"""How long QStash waits before a retry: its expression, or a function that becomes one.

QStash evaluates arithmetic over `retried`, the number of retries before this one, to milliseconds.
It has no `if`, but `min` and `max`: with them any function of the attempt is a sum of steps. So the
wait is QStash's from the first failure on, also where the process died and answered nothing.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from math import isfinite

from ..errors import DiscoveryError, InvalidOption, quoted
from . import retry_delay

RetryDelay = str | Callable[[int], float | timedelta]

#: Milliseconds; QStash waits no longer.
LONGEST = 24 * 60 * 60 * 1000
#: The characters that an expression may have.
MAX_LENGTH = retry_delay.LONGEST


def check(job_type: str, given: RetryDelay | None, retries: int) -> None:
    """Check at the start what a job type declares; raises `DiscoveryError`."""
    try:
        if given is not None:
            expression(given, retries)
    except InvalidOption as error:
        raise DiscoveryError(f"job type {job_type!r}: {error}") from None


def expression(given: RetryDelay, retries: int) -> str:
    """Return what QStash is told.

    Args:
        given: An expression of QStash's, or a function from the attempt that failed (1, 2, …) to
            seconds or a timedelta.
        retries: For how many retries a function is asked; the last answer stands for all after it.

    Raises:
        InvalidOption: It is none that QStash knows, or a function's answers are no such waits.
    """
    written = _steps(given, retries) if callable(given) else given
    if len(written) > MAX_LENGTH:
        raise InvalidOption(
            f"retry_delay: {len(written)} characters, and QStash should get {MAX_LENGTH} at most; "
            "let the wait change less often, or write an expression"
        )
    return _checked(written)


def _steps(delay_after: Callable[[int], float | timedelta], retries: int) -> str:
    """Write a function out: its first wait, and by how much each later one differs."""
    waits = [_milliseconds(delay_after, attempt) for attempt in range(1, max(retries, 1) + 1)]
    terms = [str(waits[0])]
    for retried, (before, after) in enumerate(pairwise(waits), start=1):
        if after != before:
            terms.append(f"{after - before:+d}*min(1,max(0,retried-{retried - 1}))")
    return "".join(terms)


def _milliseconds(delay_after: Callable[[int], float | timedelta], attempt: int) -> int:
    try:
        wait = delay_after(attempt)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise InvalidOption(
            f"retry_delay: the function fails for attempt {attempt}: {said}"
        ) from error
    seconds = wait.total_seconds() if isinstance(wait, timedelta) else wait
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not (isfinite(seconds) and seconds >= 0)
    ):
        raise InvalidOption(
            f"retry_delay: {wait!r} after attempt {attempt} is not a wait; give seconds or a "
            "timedelta"
        )
    return min(round(seconds * 1000), LONGEST)


def _checked(text: str) -> str:
    """Return an expression that QStash knows."""
    try:
        retry_delay.check(text)
    except ValueError as error:
        raise InvalidOption(
            f"retry_delay: {quoted(text)} is not an expression that QStash accepts: numbers, "
            f"+ - * / %, retried and {', '.join(sorted(retry_delay.FUNCTIONS))}; it {error}"
        ) from None
    return text
