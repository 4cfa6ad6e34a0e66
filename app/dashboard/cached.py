"""Figures that many look at and that cost something: computed once for all of a process."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any, TypeVar, cast

from flask import current_app

T = TypeVar("T")

_KEY = "jobs.dashboard.cached"


@dataclass(slots=True)
class _Figure:
    """One figure; whoever holds the lock computes it."""

    lock: Lock = field(default_factory=Lock)
    at: float = -1e9
    value: Any = None


def cached(key: Hashable, seconds: float, compute: Callable[[], T]) -> T:
    """Return what `compute` returned at most so many seconds ago, or returns now.

    While one request computes it, the others wait for it rather than do the same.
    """
    figures: dict[Hashable, _Figure] = current_app.extensions.setdefault(_KEY, {})
    figure = figures.setdefault(key, _Figure())
    with figure.lock:
        if monotonic() - figure.at > seconds:
            figure.value = compute()
            figure.at = monotonic()
        return cast("T", figure.value)
