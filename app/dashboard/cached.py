"""Figures that many look at and that cost something: computed once for all of a process.

What may take long is computed beside the requests, by one thread per figure, and the rarer the
longer it takes: however many look, and however many jobs there are, it is a small part of what
PostgreSQL does.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, TypeVar, cast

from flask import Flask, current_app

T = TypeVar("T")

_KEY = "jobs.dashboard.cached"
#: Seconds that a request waits for a figure that is computed beside it, where it has no older one.
PATIENCE = 0.15
#: A figure is kept for as many times as long as it took: it is computed for a fiftieth of the time.
SHARE = 50


@dataclass(slots=True)
class _Figure:
    """One figure.

    Attributes:
        lock: Whoever holds it computes the figure.
        kept: Seconds for which the value is good.
        done: Set while nobody computes it beside the requests.
    """

    lock: Lock = field(default_factory=Lock)
    at: float = -1e9
    kept: float = 0.0
    value: Any = None
    done: Event = field(default_factory=Event)

    def is_fresh(self) -> bool:
        return monotonic() - self.at <= self.kept

    def compute(self, how: Callable[[], Any], seconds: float) -> None:
        began = monotonic()
        self.value = how()
        self.at = monotonic()
        self.kept = max(seconds, SHARE * (self.at - began))


def cached(key: Hashable, seconds: float, compute: Callable[[], T]) -> T:
    """Return what `compute` returned at most so many seconds ago, or returns now.

    While one request computes it, the others wait for it rather than do the same.
    """
    figure = _figure(key)
    with figure.lock:
        if monotonic() - figure.at > seconds:
            figure.compute(compute, 0.0)
        return cast("T", figure.value)


def computed_beside(key: Hashable, seconds: float, compute: Callable[[], T]) -> T | None:
    """Return a figure that may take long, as it was lately; None while it is computed first.

    Args:
        key: What it is.
        seconds: How old it may be; older if it takes more than a fiftieth of that to compute.
        compute: Called in a thread of its own, in the app's context.
    """
    figure = _figure(key)
    if not figure.is_fresh() and figure.lock.acquire(blocking=False):
        figure.done.clear()
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - as Flask's documentation does for threads
        Thread(target=_run, args=(app, figure, seconds, compute), daemon=True).start()
    if figure.value is None:
        figure.done.wait(PATIENCE)
    return cast("T | None", figure.value)


def _run(app: Flask, figure: _Figure, seconds: float, compute: Callable[[], Any]) -> None:
    try:
        with app.app_context():
            figure.compute(compute, seconds)
    except Exception as error:  # noqa: BLE001 - a page goes on with the last ones, and asks again
        app.logger.warning("[jobs] Figures not computed", extra={"error": str(error)})
    finally:
        figure.lock.release()
        figure.done.set()


def _figure(key: Hashable) -> _Figure:
    figures: dict[Hashable, _Figure] = current_app.extensions.setdefault(_KEY, {})
    return figures.setdefault(key, _Figure())
