"""Suggest the closest known name."""

from collections.abc import Iterable
from difflib import get_close_matches


def hint(name: str, known: Iterable[str]) -> str:
    """Suggest the known names that start like this one or resemble it, or else list them all."""
    choices, typed = list(known), name.lower()
    near = [choice for choice in choices if typed and choice.startswith(typed)]
    near = near or get_close_matches(typed, choices)
    if near:
        return f"did you mean: {', '.join(near)}?"
    return f"known: {', '.join(choices) or 'none'}"
