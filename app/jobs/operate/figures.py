"""Figures that cost something, counted by one process at a time and kept for all of them."""

from typing import Any

from ..table import figures
from ..table.db import in_transaction
from ..table.figures import Kept
from ..values.plain import from_plain, to_plain

__all__ = ["Kept", "claim", "find", "keep", "release"]


def find(wanted: dict[str, Any]) -> dict[str, Kept]:
    """Return those figures, as they were counted last, that were counted before.

    Args:
        wanted: The type of each by its name, such as `list[ErrorGroup]`. One that another version
            of the code has kept, and is none of that type, is as if it never was counted.

    Raises:
        DatabaseUnavailable: They cannot be read.
    """
    found = in_transaction(lambda tx: figures.find(tx, list(wanted)))
    read = {}
    for name, kept in found.items():
        try:
            read[name] = Kept(from_plain(wanted[name], kept.value), kept.age, kept.took)
        except ValueError:
            continue
    return read


def claim(name: str, kept: float) -> bool:
    """Tell whether the caller is to count a figure: nobody does, and none is younger than `kept`.

    It is the caller's for two minutes, or until `keep` or `release`; raises as `find` does.
    """
    return in_transaction(lambda tx: figures.claim(tx, name, kept))


def keep(name: str, value: Any, took: float) -> None:
    """Keep a figure that took so many seconds; raises as `find` does."""
    plain = to_plain(value)
    in_transaction(lambda tx: figures.keep(tx, name, plain, took))


def release(name: str) -> None:
    """Let go of a claim without a figure; raises as `find` does."""
    in_transaction(lambda tx: figures.release(tx, name))
