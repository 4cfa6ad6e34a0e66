"""Suggest the closest known name."""

from collections.abc import Iterable, Mapping
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


def hint(name: str, known: Iterable[str], meant: Mapping[str, str] | None = None) -> str:
    """Suggest the nearest known names, or else list them all.

    Args:
        name: The unknown one.
        known: Those that there are.
        meant: What to suggest for names that other programs have for the same.
    """
    choices = list(known)
    if meant and (other := meant.get(name.lower())):
        return f"did you mean: {other}?"
    if near := nearest(name, choices):
        return f"did you mean: {', '.join(near)}?"
    return f"known: {', '.join(choices) or 'none'}"
