"""Ids of schedules at QStash: what it takes, and which are those that the code declares."""

import re
from typing import Any

from ..errors import InvalidOption, quoted

#: How the ids of those begin that the code declares; a sync deletes any other that begins so.
OF_CODE = "code."
LONGEST_ID, LONGEST_NAME = 256, 100

_TAKEN = re.compile(r"[A-Za-z0-9._-]+")


def check_schedule_id(value: Any) -> str:
    """Return the id of a schedule that is made by a call.

    Raises:
        InvalidOption: QStash would not take it, or a sync with the code would delete it.
    """
    found = _checked("schedule_id", value, LONGEST_ID)
    if found.startswith(OF_CODE):
        raise InvalidOption(
            f"schedule_id: {found!r} begins like those of the code, and the next sync would delete "
            f"it; leave out {OF_CODE!r}"
        )
    return found


def check_schedule_name(value: Any) -> str:
    """Return what tells a declared schedule from others of its type, as a part of its id.

    Raises:
        InvalidOption: QStash would not take the id.
    """
    return "" if value == "" else _checked("name", value, LONGEST_NAME)


def _checked(what: str, value: Any, longest: int) -> str:
    if not isinstance(value, str) or not _TAKEN.fullmatch(value) or len(value) > longest:
        raise InvalidOption(
            f"{what}: {quoted(value)} is not 1 to {longest} letters, digits, '-', '_' and '.', "
            "which is all that QStash takes"
        )
    return value
