"""Tags: short names by which an app finds its jobs again."""

import re
from typing import Any

from ..errors import InvalidOption, quoted

#: Tags of a job, and characters of one.
MOST, LONGEST = 10, 50

_TAG = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:/@-]{{0,{LONGEST - 1}}}")


def check_tags(name: str, value: Any) -> tuple[str, ...]:
    """Return a job's tags, each once, in the order in which they were given.

    Raises:
        InvalidOption: They are no list of tags, or too many.
    """
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        fix = f"; write [{value!r}]" if isinstance(value, str) else ""
        raise InvalidOption(f"{name}: {quoted(value)} is not a list of tags{fix}")
    tags = tuple(dict.fromkeys(check_tag(name, tag) for tag in value))
    if len(tags) > MOST:
        raise InvalidOption(f"{name}: {len(tags)} tags are too many; give {MOST} at most")
    return tags


def check_tag(name: str, tag: Any) -> str:
    """Return one tag; raises `InvalidOption` for what can be none."""
    try:
        return parse_tag(tag)
    except ValueError as error:
        raise InvalidOption(f"{name}: {quoted(tag)} {error}") from None


def parse_tag(tag: Any) -> str:
    """Do the same; raises `ValueError` with what is to follow it in a sentence."""
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise ValueError(
            f"is not a tag: 1 to {LONGEST} ASCII letters, digits and '._:/@-', of which the first "
            "is a letter or a digit"
        )
    return tag
