"""Taking values out of Stripe's JSON: what is wrong is named by its path."""

from collections.abc import Mapping
from typing import Any, TypeVar

from app.jobs import PermanentError

T = TypeVar("T")

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
        return optional(thing, path, str)
    except PermanentError:
        return optional(thing, f"{path}.id", str)


def required_reference(thing: Mapping[str, Any], path: str) -> str:
    """Return the id of what is referred to.

    Raises:
        PermanentError: Nothing is.
    """
    return reference(thing, path) or required(thing, path, str)


def _where(thing: Mapping[str, Any], path: str) -> str:
    kind = thing.get("object")
    return f"{kind}.{path}" if isinstance(kind, str) else path
