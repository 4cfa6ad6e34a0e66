"""What somebody may have meant by a name that there is not."""

from collections.abc import Iterable
from difflib import get_close_matches


def hint(name: str, known: Iterable[str]) -> str:
    """Name the known ones that begin like this one or resemble it; where none does, all there are.

    Only what is near is asked for as what was meant.
    """
    choices, typed = list(known), name.lower()
    near = [choice for choice in choices if typed and choice.startswith(typed)]
    near = near or get_close_matches(typed, choices)
    if near:
        return f"did you mean: {', '.join(near)}?"
    return f"there are: {', '.join(choices) or 'none'}"
