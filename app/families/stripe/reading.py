"""Read values from Stripe's JSON; errors name the path."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from app.jobs import PermanentError

T = TypeVar("T")

#: The first second of the year 9000, as for jobs: any time before it is valid in every time zone.
END_OF_TIME = 221_845_392_000
#: An amount in the currency's smallest unit, or a quantity, beyond this is a mistake.
LARGEST = 10**15
#: The length of the id columns.
ID_LENGTH = 255

_KINDS = {str: "text", int: "an integer", dict: "an object", list: "a list", bool: "true or false"}


def optional(thing: Mapping[str, Any], path: str, kind: type[T]) -> T | None:
    """Return the value at a dotted path, or None.

    Raises:
        PermanentError: The value has another type.
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
    """Return the value at a dotted path.

    Raises:
        PermanentError: No value, or one of another type.
    """
    value = optional(thing, path, kind)
    if value is None:
        raise PermanentError(f"the event has no {_where(thing, path)}")
    return value


def reference(thing: Mapping[str, Any], path: str) -> str | None:
    """Return the id of a referenced object, whether or not Stripe expanded it."""
    try:
        found = optional(thing, path, str)
    except PermanentError:
        found = optional(thing, f"{path}.id", str)
    if found is not None and len(found) > ID_LENGTH:
        raise PermanentError(f"the event's {_where(thing, path)} has over {ID_LENGTH} characters")
    return found


def required_reference(thing: Mapping[str, Any], path: str) -> str:
    """Return the id of a referenced object.

    Raises:
        PermanentError: No reference.
    """
    return reference(thing, path) or required(thing, path, str)


def optional_time(thing: Mapping[str, Any], path: str) -> int | None:
    """Return a time in Unix seconds.

    Raises:
        PermanentError: It is out of range.
    """
    return _within(thing, path, END_OF_TIME - 1, "a time between 1970 and 9000")


def optional_count(thing: Mapping[str, Any], path: str) -> int | None:
    """Return an amount or a quantity, which is never negative.

    Raises:
        PermanentError: It is negative, or absurdly large.
    """
    return _within(thing, path, LARGEST, f"between 0 and {LARGEST}")


def optional_currency(thing: Mapping[str, Any], path: str) -> str | None:
    """Return a currency's code of three letters, in lower case.

    Raises:
        PermanentError: It is not one.
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
