"""Stored headers and bodies as the page shows them."""

import json
import sqlite3
from dataclasses import dataclass

from ..protocol.headers import Pair
from ..protocol.options import Options
from .formatting import text_of

BODY_SHOWN = 65_536  # bytes
ANSWER_SHOWN = 16_384


@dataclass(frozen=True, slots=True)
class Body:
    """A body to show: `text` is None if it is binary, and has `shown` of its `length` bytes."""

    length: int
    text: str | None = None
    shown: int = 0
    redacted: bool = False

    @property
    def is_cut(self) -> bool:
        return self.shown < self.length


def pairs_of(row: sqlite3.Row, column: str = "headers") -> tuple[Pair, ...]:
    return tuple((name, value) for name, value in json.loads(row[column] or "[]"))


def body_of(start: bytes | None, length: int) -> Body:
    """Return a body whose `start` was read; SQLite's substr turns an empty one into NULL."""
    start = start or b""
    return Body(length, text_of(start, cut=len(start) < length), len(start))


def request_body(row: sqlite3.Row, options: Options) -> Body:
    if options.redaction and options.redaction.body:
        return Body(row["length"], redacted=True)
    return body_of(row["body"], row["length"])


def request_headers(options: Options) -> list[tuple[str, str | None]]:
    """Return the headers as forwarded; the value of a redacted one is None."""
    hidden = options.redaction
    return [
        (name, None if hidden and (hidden.all_headers or name in hidden.names) else value)
        for name, value in options.headers
    ]
