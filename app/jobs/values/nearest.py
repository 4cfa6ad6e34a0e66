"""Suggest the closest known name."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that start like this one or, where none does, resemble it."""
    typed, choices = name.lower(), {choice.lower(): choice for choice in known}
    begun = [choice for folded, choice in choices.items() if typed and folded.startswith(typed)]
    return begun or [choices[folded] for folded in get_close_matches(typed, choices)]


def hint(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known names, or else list them all."""
    choices = list(known)
    if near := nearest(name, choices):
        return f"did you mean: {', '.join(near)}?"
    return f"known: {', '.join(choices) or 'none'}"
