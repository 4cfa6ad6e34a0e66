"""QStash's expressions for the wait before a retry: whether one is well formed.

https://upstash.com/docs/qstash/features/retry

    sum     = product (("+" | "-") product)*
    product = signed (("*" | "/" | "%") signed)*
    signed  = ("-" | "+") signed | atom
    atom    = number | "retried" | name "(" sum ("," sum)* ")" | "(" sum ")"
"""

import re

LONGEST = 500
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


def check(text: str) -> None:
    """Raise `ValueError`, which says what is wrong, unless this is an expression."""
    if len(text) > LONGEST:
        raise ValueError(f"has more than {LONGEST} characters")
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
