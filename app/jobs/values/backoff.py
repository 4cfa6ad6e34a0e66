"""How long QStash waits before a retry: its expression, or a time or function that becomes one.

QStash evaluates arithmetic over `retried`, the number of retries before this one, to milliseconds
(https://upstash.com/docs/qstash/features/retry). It has no `if`, but `min` and `max`: with them any
function of the attempt is a sum of steps. So QStash itself waits from the first failure on, also
where the process died and answered nothing.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from .. import durations
from ..errors import InvalidOption, quoted

Wait = float | timedelta | str
RetryDelay = Wait | Callable[[int], Wait]

#: Milliseconds; QStash waits no longer.
LONGEST = 24 * 60 * 60 * 1000
#: The characters that an expression may have, and how deep it may be nested.
MAX_LENGTH = 500
LEVELS = 32

#: From a function to how many arguments it takes; None for one or more.
FUNCTIONS: dict[str, int | None] = {
    "pow": 2, "sqrt": 1, "abs": 1, "exp": 1, "floor": 1, "ceil": 1, "round": 1,
    "min": None, "max": None,
}  # fmt: skip

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)|(?P<name>[a-z_]\w*)|(?P<sign>\S))",
    re.ASCII | re.IGNORECASE,
)
_END = ""


def expression(given: RetryDelay, retries: int) -> str:
    """Return the expression for QStash.

    Args:
        given: A time (seconds, a timedelta, or a text such as "5m"), a function from the attempt
            that failed (1, 2, …) to one, or an expression of QStash's.
        retries: For how many retries a function is asked; the last answer stands for all after it.

    Raises:
        InvalidOption: QStash does not know the expression, or a function does not return waits.
    """
    written = _written(given, retries)
    if len(written) > MAX_LENGTH:
        raise InvalidOption(
            f"retry_delay: {len(written)} characters, and QStash should get {MAX_LENGTH} at most; "
            "let the wait change less often, or write an expression"
        )
    return _checked(written)


def is_time(given: Any) -> bool:
    """Tell whether it is a time, and no expression or function."""
    return not callable(given) and not (isinstance(given, str) and not durations.is_written(given))


def _written(given: RetryDelay, retries: int) -> str:
    if callable(given):
        return _steps(given, retries)
    if isinstance(given, str) and not is_time(given):
        return given
    try:
        return str(_milliseconds(given))
    except ValueError as error:
        raise InvalidOption(f"retry_delay: {quoted(given)} {error}") from None


def _steps(delay_after: Callable[[int], Wait], retries: int) -> str:
    """Write a function out: its first wait, and by how much each later one differs."""
    waits = [_asked(delay_after, attempt) for attempt in range(1, max(retries, 1) + 1)]
    terms = [str(waits[0])]
    for retried, (before, after) in enumerate(pairwise(waits), start=1):
        if after != before:
            terms.append(f"{after - before:+d}*min(1,max(0,retried-{retried - 1}))")
    return "".join(terms)


def _asked(delay_after: Callable[[int], Wait], attempt: int) -> int:
    try:
        wait = delay_after(attempt)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise InvalidOption(
            f"retry_delay: the function fails for attempt {attempt}: {said}"
        ) from error
    try:
        return _milliseconds(wait)
    except ValueError as error:
        said = f"{quoted(wait)} after attempt {attempt} {error}"
        raise InvalidOption(f"retry_delay: {said}") from None


def _milliseconds(wait: Wait) -> int:
    return min(round(min(durations.parse(wait), LONGEST) * 1000), LONGEST)


def _checked(text: str) -> str:
    """Return an expression that QStash knows."""
    try:
        _parse(text)
    except ValueError as error:
        raise InvalidOption(
            f"retry_delay: {quoted(text)} is not an expression that QStash accepts: numbers, "
            f"+ - * / %, retried and {', '.join(sorted(FUNCTIONS))}; it {error}"
        ) from None
    return text


def _parse(text: str) -> None:
    """Raise `ValueError`, which says what is wrong, unless this is an expression of this grammar.

    sum     = product (("+" | "-") product)*
    product = signed (("*" | "/" | "%") signed)*
    signed  = ("-" | "+") signed | atom
    atom    = number | "retried" | name "(" sum ("," sum)* ")" | "(" sum ")"
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"has more than {MAX_LENGTH} characters")
    reader = _Reader(text)
    reader.sum(0)
    if reader.next != _END:
        raise ValueError(f"has an unexpected {reader.next!r}")


class _Reader:
    """Reads an expression by its grammar, a method for each of its lines."""

    def __init__(self, text: str) -> None:
        self._tokens = iter([found[found.lastgroup or 0] for found in _TOKEN.finditer(text)])
        self.next = next(self._tokens, _END)

    def sum(self, level: int) -> None:
        self._product(level)
        while self.next in {"+", "-"}:
            self._take()
            self._product(level)

    def _product(self, level: int) -> None:
        self._signed(level)
        while self.next in {"*", "/", "%"}:
            self._take()
            self._signed(level)

    def _signed(self, level: int) -> None:
        if level > LEVELS:
            raise ValueError(f"is nested deeper than {LEVELS} levels")
        if self.next in {"+", "-"}:
            self._take()
            self._signed(level + 1)
        else:
            self._atom(level)

    def _atom(self, level: int) -> None:
        word = self._take()
        if word == "(":
            self.sum(level + 1)
            self._expect(")")
        elif word in FUNCTIONS:
            self._arguments(word, level)
        elif word == _END:
            raise ValueError("ends too early")
        elif word != "retried" and not (word[0].isdigit() or (word[0] == "." and word != ".")):
            raise ValueError(f"has an unexpected {word!r}")

    def _arguments(self, name: str, level: int) -> None:
        self._expect("(")
        self.sum(level + 1)
        given = 1
        while self.next == ",":
            self._take()
            self.sum(level + 1)
            given += 1
        self._expect(")")
        if FUNCTIONS[name] not in {None, given}:
            raise ValueError(f"gives {name} {given} values, and not {FUNCTIONS[name]}")

    def _take(self) -> str:
        taken, self.next = self.next, next(self._tokens, _END)
        return taken

    def _expect(self, sign: str) -> None:
        if self.next != sign:
            found = "the end" if self.next == _END else repr(self.next)
            raise ValueError(f"has {found} where {sign!r} belongs")
        self._take()
