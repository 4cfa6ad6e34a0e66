"""Reading one header of a message's configuration: names, numbers, durations, lists."""

from functools import lru_cache

from ..errors import bad_request
from .durations import parse_duration
from .text import whole_number

Pair = tuple[str, str]  # lower-case header name and value
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


@lru_cache(maxsize=1024)
def canonical(name: str) -> str:
    """Return a header name as Go writes it: `x-request-ID` becomes `X-Request-Id`."""
    return "-".join(part.capitalize() for part in name.split("-"))


def read_boolean(values: dict[str, str], name: str) -> bool:
    # The Python SDK sends True and False with capitals.
    text = values.get(name, "false").strip().lower()
    if text not in ("true", "false", "1", "0", ""):
        raise bad_request(f"{canonical(name)}: expected true or false, got {text!r}")
    return text in ("true", "1")


def read_method(values: dict[str, str], name: str) -> str:
    method = values.get(name, "POST").strip().upper()
    if method not in _METHODS:
        raise bad_request(
            f"{canonical(name)}: {method!r} is not one of {', '.join(sorted(_METHODS))}"
        )
    return method


def read_integer(values: dict[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    number = whole_number(text)
    if number is None:
        raise bad_request(f"{canonical(name)}: expected a non-negative integer, got {text!r}")
    return number


def read_duration(values: dict[str, str], name: str) -> int | None:
    text = values.get(name)
    return None if text is None else parse_duration(text, canonical(name))


def split_list(text: str) -> tuple[str, ...]:
    return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)
