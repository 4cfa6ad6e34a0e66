"""Arguments that are several things: a list, a generator and the like."""

from collections.abc import Iterable, Mapping

from ..errors import InvalidOption, quoted


def check_several(name: str, given: object) -> None:
    """Refuse one thing where several are taken, also one that Python would take apart.

    Raises:
        InvalidOption: It is a text, a mapping, or cannot be gone through.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise InvalidOption(f"{name}: {quoted(given)} is not a list; write [ ] around it")
