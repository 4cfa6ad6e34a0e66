"""The arithmetic of `Upstash-Retry-Delay`: a small grammar, evaluated without `eval`.

sum     = product (("+" | "-") product)*
product = signed (("*" | "/" | "%") signed)*
signed  = ("-" | "+") signed | atom
atom    = number | "retried" | name "(" sum ("," sum)* ")" | "(" sum ")"
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from ..errors import bad_request

Expression = Callable[[float], float]

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|([A-Za-z_]\w*)|(.))", re.DOTALL)
_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": math.fmod,
}
# Name -> function and the number of arguments it takes (None: one or more).
_FUNCTIONS: dict[str, tuple[Callable[..., float], int | None]] = {
    "pow": (math.pow, 2),
    "sqrt": (math.sqrt, 1),
    "abs": (math.fabs, 1),
    "exp": (math.exp, 1),
    "floor": (math.floor, 1),
    "ceil": (math.ceil, 1),
    "round": (round, 1),
    "min": (min, None),
    "max": (max, None),
}
_MAX_LENGTH = 512
_MAX_DEPTH = 32
DAY_MS = 86_400_000.0


def retry_delay_ms(text: str, retried: int) -> float:
    """Return the milliseconds to wait before the next retry, between 0 and one day.

    An expression that has no value here (a division by zero, an overflow) waits a day: it was
    valid when published, and retrying at once would hammer the destination.
    """
    try:
        value = float(compile_retry_delay(text)(float(retried)))
    except (ArithmeticError, ValueError):
        return DAY_MS
    return DAY_MS if math.isnan(value) else min(max(value, 0.0), DAY_MS)


@lru_cache(maxsize=256)
def compile_retry_delay(text: str) -> Expression:
    """Return the expression as a function of `retried` (0 for the first retry).

    Raises:
        ApiError: 400, with the problem and its position.
    """
    if len(text) > _MAX_LENGTH:
        raise _invalid(f"longer than {_MAX_LENGTH} characters")
    parser = _Parser(text)
    expression = parser.sum(0)
    if parser.next:
        raise _invalid(f"unexpected {parser.next!r}")
    return expression


def _invalid(reason: str) -> Exception:
    return bad_request(f"Upstash-Retry-Delay: invalid expression: {reason}")


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = iter([*("".join(groups) for groups in _TOKEN.findall(text.rstrip())), ""])
        self.next = next(self._tokens)

    def sum(self, depth: int) -> Expression:
        return self._binary("+-", self._product, depth)

    def _product(self, depth: int) -> Expression:
        return self._binary("*/%", self._signed, depth)

    def _binary(self, signs: str, part: Callable[[int], Expression], depth: int) -> Expression:
        left = part(depth)
        while self.next and self.next in signs:
            left = _apply(_OPERATORS[self._take()], [left, part(depth)])
        return left

    def _signed(self, depth: int) -> Expression:
        if depth > _MAX_DEPTH:
            raise _invalid("nested too deeply")
        if self.next not in ("-", "+"):
            return self._atom(depth)
        sign = -1.0 if self._take() == "-" else 1.0
        inner = self._signed(depth + 1)
        return lambda retried: sign * inner(retried)

    def _atom(self, depth: int) -> Expression:
        word = self._take()
        if word == "(":
            inner = self.sum(depth + 1)
            self._expect(")")
            return inner
        if word[:1].isdigit() or word[:1] == ".":
            return _constant(word)
        if word == "retried":
            return lambda retried: retried
        if word in _FUNCTIONS:
            return self._call(word, depth)
        raise _invalid(f"unexpected {word!r}" if word else "it ends too early")

    def _call(self, name: str, depth: int) -> Expression:
        self._expect("(")
        arguments = [self.sum(depth + 1)]
        while self.next == ",":
            self._take()
            arguments.append(self.sum(depth + 1))
        self._expect(")")
        function, arity = _FUNCTIONS[name]
        if arity is not None and arity != len(arguments):
            raise _invalid(f"{name} takes {arity} argument(s), not {len(arguments)}")
        return _apply(function, arguments)

    def _take(self) -> str:
        taken, self.next = self.next, next(self._tokens, "")
        return taken

    def _expect(self, sign: str) -> None:
        if self.next != sign:
            raise _invalid(f"expected {sign!r}, found {self.next or 'the end'!r}")
        self._take()


def _constant(number: str) -> Expression:
    try:
        value = float(number)
    except ValueError:
        raise _invalid(f"unexpected {number!r}") from None
    return lambda _retried: value


def _apply(function: Callable[..., float], arguments: Sequence[Expression]) -> Expression:
    # min and max of a single value are that value, where Python would ask for an iterable.
    if len(arguments) == 1 and function in (min, max):
        return arguments[0]
    return lambda retried: function(*(argument(retried) for argument in arguments))
