"""An exception as texts that may be kept and logged: bounded, storable, nothing hidden in them."""

import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Any

from psycopg import Error as DatabaseError
from psycopg import errors as database_errors

from ..values import jsonb
from .redaction import has_secrets, scrub

MAX_TRACEBACK_CHARS = 16 * 1024
#: Characters of one frame, or of the message, in a traceback.
_MAX_ENTRY_CHARS = 4 * 1024
#: Seconds; QStash is not asked to wait for longer.
MAX_RETRY_AFTER = 24 * 60 * 60

# What the database quotes of a row or of a parameter: `Key (email)=(a@example.com) already exists`,
# `invalid input syntax for type integer: "hunter2"`.
_QUOTED = re.compile(r': (".*")$', re.MULTILINE | re.DOTALL)
_HIDDEN = "(hidden)"


class JobFailed(Exception):
    """Stands in for an exception whose own text must not be shown."""


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of an exception.

    Attributes:
        exception: The exception itself, or where its text had to be changed one in its stead, with
            the same traceback.
    """

    error: str
    traceback: str
    exception: BaseException


def describe(error: BaseException) -> Description:
    """Say what was raised; never raises itself, whatever the exception does."""
    values = _values_of(error)
    said = _presentable(_raw(error), values, jsonb.MAX_TEXT_BYTES)
    trace = _presentable(_trace(error), values, MAX_TRACEBACK_CHARS, keep="end")
    if has_secrets():
        _forget_variables(error)
    if all(_presentable(raw, values, jsonb.MAX_TEXT_BYTES) == raw for raw in _texts(error)):
        return Description(said, trace, error)
    return Description(said, trace, JobFailed(said).with_traceback(error.__traceback__))


def _forget_variables(error: BaseException) -> None:
    """Clear the frames that have ended: error trackers send their local variables."""
    for one in _chain(error):
        traceback.clear_frames(one.__traceback__)


def message(error: BaseException) -> str:
    """Return the exception's own words, scrubbed as well."""
    return _presentable(_text(error), _values_of(error), jsonb.MAX_TEXT_BYTES)


def retry_after(error: BaseException) -> float | None:
    """Return in how many seconds the exception says to try again, if it says so intelligibly."""
    try:
        asked: Any = getattr(error, "retry_after", None)
        if isinstance(asked, timedelta):
            asked = asked.total_seconds()
        if asked is None or isinstance(asked, bool) or not isinstance(asked, int | float | str):
            return None
        seconds = float(asked)
    except Exception:  # noqa: BLE001 - a property may raise anything, and a text be no number
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if isfinite(seconds) else None


def _raw(error: BaseException) -> str:
    return f"{type(error).__name__}: {_text(error)}"


def _texts(error: BaseException) -> Iterator[str]:
    """Yield all that a traceback says in the words of exceptions."""
    for one in _chain(error):
        yield _raw(one)
        yield from map(str, getattr(one, "__notes__", ()))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as another:  # noqa: BLE001 - the time limit is over
        return f"(its text cannot be had: {type(another).__name__})"


def _trace(error: BaseException) -> str:
    """Return the traceback, with long messages cut rather than the frames before them."""
    try:
        entries = traceback.format_exception(error)
    except BaseException:  # noqa: BLE001 - as above
        entries = traceback.format_tb(error.__traceback__)
    return "".join(_cut(entry) for entry in entries)


def _cut(entry: str) -> str:
    if len(entry) <= _MAX_ENTRY_CHARS:
        return entry
    # Scrubbed before it is cut to its length, or half a secret might be left at the cut.
    return f"{scrub(entry[: 2 * _MAX_ENTRY_CHARS])[:_MAX_ENTRY_CHARS]} … (cut)\n"


def _presentable(text: str, values: list[str], limit: int, *, keep: str = "start") -> str:
    for value in values:
        text = text.replace(value, _HIDDEN)
    if keep == "start":
        return jsonb.bounded(scrub(text[: 2 * limit]), limit)
    return jsonb.clean_text(scrub(text[-2 * limit :])[-limit:])


def _values_of(error: BaseException) -> list[str]:
    """Return what the database quotes of rows and parameters, the longest first."""
    found = {value for one in _chain(error) for value in _quoted(one) if value}
    return sorted(found, key=len, reverse=True)


def _quoted(error: BaseException) -> Iterator[str]:
    if not isinstance(error, DatabaseError):
        return
    if error.diag.message_detail:
        yield error.diag.message_detail
    if isinstance(error, database_errors.DataError):
        yield from _QUOTED.findall(error.diag.message_primary or "")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and those it came from, once each."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        waiting += [one.__cause__, one.__context__, *inner]
        original = getattr(one, "orig", None)
        waiting.append(original if isinstance(original, BaseException) else None)
