"""Values of ours as plain JSON, and back: what one process found, for another to show."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def to_plain(value: Any) -> Any:
    """Return a value, of dataclasses, lists, mappings, moments and the like, as JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return [[to_plain(key), to_plain(one)] for key, one in value.items()]
    if isinstance(value, list | tuple):
        return [to_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


def from_plain(form: Any, plain: Any) -> Any:
    """Return the value of which `to_plain` made this.

    Args:
        form: Its type, such as `list[Health]`.
        plain: What was made of it; perhaps by another version of the code.

    Raises:
        ValueError: It is none of that type.
    """
    try:
        return _read(form, plain)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a {form}: {error}") from error


@cache
def _fields(form: Any) -> list[tuple[str, Any]]:
    hints = get_type_hints(form)
    return [(one.name, hints[one.name]) for one in fields(form)]


def _read(form: Any, plain: Any) -> Any:
    origin, parts = get_origin(form) or form, get_args(form)
    if origin in {Union, UnionType}:
        others = [one for one in parts if one is not NoneType]
        return plain if plain is None or len(others) > 1 else _read(others[0], plain)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {_read(parts[0], key): _read(parts[1], one) for key, one in plain}
    if origin is tuple and parts[-1] is not Ellipsis:
        return tuple(_read(part, one) for part, one in zip(parts, plain, strict=True))
    if origin in {list, tuple}:
        return origin(_read(parts[0], one) for one in plain)
    return _read_one(form, plain)


def _read_one(form: Any, plain: Any) -> Any:
    if isinstance(form, type) and is_dataclass(form):
        return form(**{name: _read(hint, plain[name]) for name, hint in _fields(form)})
    if form is datetime:
        return datetime.fromisoformat(plain)
    return form(plain) if isinstance(form, type) and issubclass(form, Enum) else plain
