"""What somebody may have meant by a name that there is not."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known names that resemble this one, or else all of them, separated by commas."""
    choices = list(known)
    return ", ".join(get_close_matches(name, choices) or choices)
