"""What somebody may have meant by a name that there is not."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known names that begin like this one or resemble it, or else all of them."""
    choices, typed = list(known), name.lower()
    begun = [choice for choice in choices if typed and choice.startswith(typed)]
    return ", ".join(begun or get_close_matches(typed, choices) or choices)
