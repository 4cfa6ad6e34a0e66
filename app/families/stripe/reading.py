"""Taking values out of Stripe's JSON: what is wrong is named by its path."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from app.jobs import PermanentError

T = TypeVar("T")

#: The first second of the year 9000, as for jobs: every time before it can be written in any zone.
END_OF_TIME = 221_845_392_000
#: Beyond this an amount, in the currency's smallest unit, is a mistake, and so is a quantity.
LARGEST = 10**15
#: What the columns of ids hold.
ID_LENGTH = 255

_KINDS = {str: "text", int: "an integer", dict: "an object", list: "a list", bool: "true or false"}


def optional(thing: Mapping[str, Any], path: str, kind: type[T]) -> T | None:
    """Return what stands at a dotted path, None where nothing does.

    Raises:
        PermanentError: Something of another kind stands there.
    """
    value: Any = thing
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None:
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise PermanentError(f"the event's {_where(thing, path)} is not {_KINDS[kind]}")
    return value


def required(thing: Mapping[str, Any], path: str, kind: type[T]) -> T:
    """Return what stands at a dotted path.

    Raises:
        PermanentError: Nothing of this kind does.
    """
    value = optional(thing, path, kind)
    if value is None:
        raise PermanentError(f"the event has no {_where(thing, path)}")
    return value


def reference(thing: Mapping[str, Any], path: str) -> str | None:
    """Return the id of what is referred to, also where Stripe expanded it to an object."""
    try:
        found = optional(thing, path, str)
    except PermanentError:
        found = optional(thing, f"{path}.id", str)
    if found is not None and len(found) > ID_LENGTH:
        raise PermanentError(f"the event's {_where(thing, path)} has over {ID_LENGTH} characters")
    return found


def required_reference(thing: Mapping[str, Any], path: str) -> str:
    """Return the id of what is referred to.

    Raises:
        PermanentError: Nothing is.
    """
    return reference(thing, path) or required(thing, path, str)


def optional_time(thing: Mapping[str, Any], path: str) -> int | None:
    """Return a time in Unix seconds.

    Raises:
        PermanentError: It lies beyond the calendar.
    """
    return _within(thing, path, END_OF_TIME - 1, "a time between 1970 and 9000")


def optional_count(thing: Mapping[str, Any], path: str) -> int | None:
    """Return how much or how many: never less than nothing.

    Raises:
        PermanentError: It is, or it is absurdly much.
    """
    return _within(thing, path, LARGEST, f"between 0 and {LARGEST}")


def optional_currency(thing: Mapping[str, Any], path: str) -> str | None:
    """Return a currency's code of three letters, in lower case.

    Raises:
        PermanentError: It is none.
    """
    code = optional(thing, path, str)
    if code is not None and not re.fullmatch("[A-Za-z]{3}", code):
        raise PermanentError(f"the event's {_where(thing, path)} is not a code of three letters")
    return code.lower() if code else None


def _within(thing: Mapping[str, Any], path: str, largest: int, said: str) -> int | None:
    number = optional(thing, path, int)
    if number is not None and not 0 <= number <= largest:
        raise PermanentError(f"the event's {_where(thing, path)} is not {said}")
    return number


def _where(thing: Mapping[str, Any], path: str) -> str:
    kind = thing.get("object")
    return f"{kind}.{path}" if isinstance(kind, str) else path
