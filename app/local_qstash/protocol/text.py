"""Text and numbers from a socket, in any encoding and of any length."""

import json
import re
from typing import Any

_HALF_PAIR = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = 15  # enough for any time or count, and within SQLite's integers


def is_readable(text: str) -> bool:
    """Tell whether text, decoded as UTF-8 with surrogates for bad bytes, was valid UTF-8."""
    return text.isascii() or _HALF_PAIR.search(text) is None


def readable(text: str) -> str:
    """Return a header's value as text; bytes that are not UTF-8 are Latin-1, as HTTP once said."""
    if is_readable(text):
        return text
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def writable(text: str) -> str:
    """Replace lone surrogates by U+FFFD: UTF-8 cannot encode them."""
    return text if text.isascii() else _HALF_PAIR.sub("\ufffd", text)


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text in UTF-8, with U+FFFD for lone surrogates, as Go reads it.

    Raises:
        ValueError, RecursionError: it is not JSON, or nested too deeply.
    """
    text = body.decode("utf-8-sig")
    value = json.loads(text)
    return _writable(value) if "\\u" in text else value


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, list):
        return [_writable(one) for one in value]
    if isinstance(value, dict):
        return {writable(key): _writable(one) for key, one in value.items()}
    return value


def whole_number(text: str) -> int | None:
    """Return a number written in digits, or None for anything else or a number too large."""
    text = text.strip()
    fits = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if fits else None
