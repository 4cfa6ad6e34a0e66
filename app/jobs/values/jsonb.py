"""What PostgreSQL's text and jsonb can hold: everything but NUL and halves of surrogate pairs."""

import json
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Any
from uuid import UUID

#: What is kept of an error: enough to see what it was, whatever it quotes.
MAX_TEXT_BYTES = 16 * 1024
_CUT = " … (cut)"

#: How deeply values may be nested. What one caller can just read, another cannot, as Python's limit
#: is that of the whole stack: so this one leaves room for any stack of ours.
MAX_DEPTH = 600

# An escaped NUL: an odd number of backslashes before `u0000`.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_FORM: dict[str, Any] = {"allow_nan": False, "ensure_ascii": False, "separators": (",", ":")}
_ENCODER = json.JSONEncoder(**_FORM)


def dumps(value: Any, *, default: Callable[[Any], Any] | None = None) -> str:
    """Encode as JSON, without the NaN and Infinity that Python would allow.

    Args:
        value: What to encode.
        default: Says in JSON values what is none, or raises `TypeError`.

    Raises:
        ValueError: The value cannot be said in JSON or cannot be stored.
    """
    if isinstance(value, Unreadable):
        raise ValueError(value["unreadable"])  # noqa: TRY004 - it is the value that is wrong
    try:
        encoder = json.JSONEncoder(**_FORM, default=default) if default else _ENCODER
        encoded = encoder.encode(value)
        encoded.encode()
    except UnicodeEncodeError as error:
        raise ValueError("text must not contain unpaired surrogates") from error
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if "u0000" in encoded and _NUL.search(encoded):
        raise ValueError("text must not contain NUL characters")
    if encoded.count("[") + encoded.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ValueError("nested too deeply")
    return encoded


class Unreadable(dict[str, Any]):
    """Stands in for a value of the database that Python cannot read; cannot be written again."""


def read(encoded: str | bytes) -> Any:
    """Decode what the database gave: numbers and depths without end are JSON, too.

    As an error, one such value would be the end of every query that has its row among others.
    """
    try:
        return json.loads(encoded)
    except (ValueError, RecursionError) as error:
        return Unreadable(unreadable=str(error))


def loads(encoded: str) -> Any:
    """Decode JSON; raises `ValueError` for anything else, NaN and Infinity included."""
    try:
        return json.loads(encoded, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def clean(value: Any) -> Any:
    """Return what `loads` gave, with what cannot be stored replaced.

    Raises:
        ValueError: It is nested too deeply.
    """
    try:
        return _clean(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _clean(value: Any) -> Any:
    match value:
        case str():
            return clean_text(value)
        case list():
            return [_clean(item) for item in value]
        case dict():
            return {clean_text(key): _clean(item) for key, item in value.items()}
        case float() if not isfinite(value):
            return None  # 1e999, say, which is read as infinite and JSON cannot say
    return value


def clean_text(text: str) -> str:
    """Return the text with what cannot be stored replaced."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def bounded(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """Do the same, and cut what is longer than `limit` bytes, saying so."""
    text = clean_text(text[: limit + 1])
    if len(encoded := text.encode()) <= limit:
        return text
    return encoded[: limit - len(_CUT.encode())].decode(errors="ignore") + _CUT


def said(value: Any) -> Any:
    """Say in JSON values what handlers like to return; for `dumps`."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | UUID | PurePath):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list | tuple)]:
        depth += 1
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
