"""Suggest the closest known name."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that start like this one, after any that resembles it even more.

    Where none starts like it, those that resemble it.
    """
    typed, choices = name.lower(), {choice.lower(): choice for choice in known}
    begun = [choice for folded, choice in choices.items() if typed and folded.startswith(typed)]
    close = [choices[folded] for folded in get_close_matches(typed, choices)]
    ranks = [close.index(choice) for choice in begun if choice in close]
    closer = close[: min(ranks)] if ranks else []
    return [*closer, *begun] if begun else close


def hint(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known names, or else list them all."""
    choices = list(known)
    if near := nearest(name, choices):
        return f"did you mean: {', '.join(near)}?"
    return f"known: {', '.join(choices) or 'none'}"
