"""Figures that many look at and that cost something: counted once for all of an app's processes.

A page shows a figure as it was counted last, by whichever process. Where it is older than it should
be, one process counts it anew, in a thread beside the pages: the rarer the longer it takes, so that
however many look, and however many jobs there are, it is a small part of what PostgreSQL does.
While nobody looks, nothing is counted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, Generic, TypeVar

from flask import Flask, current_app

from ..jobs.operate import figures

T = TypeVar("T")

_KEY = "jobs.dashboard.cached"
#: Seconds that a page waits for figures that it has not, or of which it has only old ones.
PATIENCE = 0.1
#: A figure is kept for as many times as long as it took: it is counted for a fiftieth of the time.
SHARE = 50
#: Seconds until what is only counted in part is counted further.
REST = 3.0
#: A figure is old, and a page says how old, from so many times the age on for which it is kept.
OLD = 3


@dataclass(frozen=True, slots=True)
class Figure(Generic[T]):
    """A figure that a page shows.

    Attributes:
        name: Of it, for all processes.
        form: Its type, such as `list[Load]`: what of dataclasses, lists and mappings JSON can say.
        seconds: How old it may be; older if it takes more than a fiftieth of that.
        count: Called in a thread beside the request's, in the app's context but in no request. What
            it returns may say `is_complete`: if not, it is soon called again.
    """

    name: str
    form: Any
    seconds: float
    count: Callable[[], T]


@dataclass(frozen=True, slots=True)
class Shown(Generic[T]):
    """A figure as it was counted last.

    Attributes:
        value: None while it is counted first.
        old: Its age in seconds, where that is more than it should be.
    """

    value: T | None
    old: float | None


@dataclass(slots=True)
class _Known:
    """What this process knows of a figure.

    Attributes:
        lock: Whoever holds it finds or counts the figure.
        at: When it was counted.
        kept: Seconds for which the value is good.
        took: Seconds that it took.
        done: Set while nobody in this process counts it.
    """

    lock: Lock = field(default_factory=Lock)
    at: float = -1e9
    kept: float = 0.0
    took: float = 0.0
    value: Any = None
    done: Event = field(default_factory=Event)

    @property
    def age(self) -> float:
        return monotonic() - self.at

    @property
    def is_fresh(self) -> bool:
        return self.age <= self.kept

    @property
    def is_old(self) -> bool:
        return self.value is None or self.age > OLD * self.kept

    def take(self, found: figures.Kept, seconds: float) -> None:
        self.value, self.at, self.took = found.value, monotonic() - found.age, found.took
        is_complete = getattr(found.value, "is_complete", True)
        self.kept = max(seconds, SHARE * found.took) if is_complete else REST


def figure(wanted: Figure[T]) -> Shown[T]:
    """Return one figure; see `figures_of`."""
    (shown,) = figures_of(wanted)
    return shown


def figures_of(*wanted: Figure[Any]) -> list[Shown[Any]]:
    """Return figures as they were counted last, and see that old ones are counted.

    Raises:
        DatabaseUnavailable: They cannot be read.
    """
    known: dict[str, _Known] = current_app.extensions.setdefault(_KEY, {})
    ours = [known.setdefault(one.name, _Known()) for one in wanted]
    stale = [
        (one, own)
        for one, own in zip(wanted, ours, strict=True)
        if not own.is_fresh and own.lock.acquire(blocking=False)
    ]
    if stale:
        _renew(stale)
    until = monotonic() + PATIENCE
    for own in ours:
        if own.is_old:
            own.done.wait(max(0.0, until - monotonic()))
    return [Shown(own.value, own.age if own.is_old else None) for own in ours]


def _renew(stale: list[tuple[Figure[Any], _Known]]) -> None:
    """Take over what another process has counted, and count what none has; releases the locks.

    One thread counts all of them, so that a page takes one connection more than its own, whatever
    it shows: what took least first, since the page waits a moment.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - as Flask's documentation does for threads
    try:
        found = figures.find({one.name: one.form for one, _ in stale})
    except BaseException:
        for _, own in stale:
            own.lock.release()
        raise
    to_count = []
    for one, own in stale:
        if one.name in found:
            own.take(found[one.name], one.seconds)
        if own.is_fresh:
            own.lock.release()
        else:
            own.done.clear()
            to_count.append((one, own))
    if to_count:
        to_count.sort(key=lambda pair: pair[1].took)
        Thread(target=_run_all, args=(app, to_count), daemon=True).start()


def _run_all(app: Flask, to_count: list[tuple[Figure[Any], _Known]]) -> None:
    for one, own in to_count:
        _run(app, one, own)


def _run(app: Flask, wanted: Figure[Any], own: _Known) -> None:
    try:
        with app.app_context():
            if figures.claim(wanted.name, own.kept if own.value is not None else wanted.seconds):
                _count(wanted, own)
    except Exception as error:  # noqa: BLE001 - a page goes on with the last ones, and asks again
        about = {"figure": wanted.name, "error": str(error)}
        app.logger.warning("[jobs] Figures not computed", extra=about)
    finally:
        own.lock.release()
        own.done.set()


def _count(wanted: Figure[Any], own: _Known) -> None:
    began = monotonic()
    try:
        value = wanted.count()
    except BaseException:
        figures.release(wanted.name)
        raise
    took = monotonic() - began
    figures.keep(wanted.name, value, took)
    own.take(figures.Kept(value, 0.0, took), wanted.seconds)
