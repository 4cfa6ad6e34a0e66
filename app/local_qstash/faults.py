"""Fault injection: what goes wrong with deliveries and publishes, how often, from which seed.

A fault is written `KIND=SHARE[:DETAIL]`, as in `drop=0.05`, `delay=0.2:500ms` or `fail=0.1:503`.
SHARE is the share of all deliveries, or of all publishes, that it hits: from 0 to 1.

Deliveries, in the order in which several faults of one attempt take effect:

reorder       held back until the next attempt that is not held back has ended, 1 s at most
delay         starts later by DETAIL (`500ms`, `1m30s`; default 1s), whatever the server's speed
drop          is never sent, and counts as a failed attempt
fail          is never sent, and counts as answered with status DETAIL (300 to 599; default 503)
lose-answer   reaches the destination, but its answer does not come back: a failed attempt
duplicate     is sent twice at the same time, and is delivered if either answer says so

Publishes (publish, enqueue, batch; a batch is one):

publish-fail  refused with status DETAIL (400 to 599; default 500), and nothing stored
publish-drop  accepted and stored, but the connection is cut before the answer

Each fault has its own random numbers, seeded with the seed and the fault's kind and detail: the
n-th delivery, or publish, since the faults were set meets the same fate in every run with that
seed. A larger share only adds victims, and another fault does not change which ones the others hit.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random, SystemRandom

from .errors import InvalidFaultError
from .protocol.durations import parse_go_duration

logger = logging.getLogger(__name__)

DELIVERY, PUBLISH = "delivery", "publish"
_MAX_DELAY = 3600.0  # seconds
_MAX_SEED = 2**31
_FORM = re.compile(r"(?P<kind>[a-z-]+)=(?P<share>\d*\.?\d+)(?::(?P<detail>.*))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: what it hits, and its detail if it has one."""

    on: str
    read: Callable[[str], float | None] | None = None  # None if the detail is invalid
    default: str = ""
    detail: str = "no detail"  # in words


def _status(lowest: int) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        status = int(text) if re.fullmatch(r"[1-9]\d\d", text, re.ASCII) else 0
        return status if lowest <= status < 600 else None  # noqa: PLR2004 - the end of 5xx

    return read


def _delay(text: str) -> float | None:
    seconds = parse_go_duration(text)
    return seconds if seconds is not None and seconds <= _MAX_DELAY else None


KINDS = {
    "reorder": Kind(DELIVERY),
    "delay": Kind(DELIVERY, _delay, "1s", "a duration of at most 1h, such as 500ms or 1m30s"),
    "drop": Kind(DELIVERY),
    "fail": Kind(DELIVERY, _status(300), "503", "a status from 300 to 599"),
    "lose-answer": Kind(DELIVERY),
    "duplicate": Kind(DELIVERY),
    "publish-fail": Kind(PUBLISH, _status(400), "500", "a status from 400 to 599"),
    "publish-drop": Kind(PUBLISH),
}
_ORDER = list(KINDS)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that hits a share of all deliveries or publishes."""

    kind: str
    share: float
    detail: str = ""
    value: float = 0  # what the detail says: seconds of a delay, or a status

    @property
    def on(self) -> str:
        """Return what it hits: `delivery` or `publish`."""
        return KINDS[self.kind].on

    @property
    def name(self) -> str:
        """Return kind and detail, which identify it among the faults."""
        return f"{self.kind}:{self.detail}" if self.detail else self.kind

    def __str__(self) -> str:
        """Return it in the form that `read` takes."""
        return f"{self.kind}={self.share:g}{self.name.removeprefix(self.kind)}"


def parse_fault(text: str) -> Fault:
    """Read a fault from `KIND=SHARE[:DETAIL]`.

    Raises:
        InvalidFaultError: names the problem and the correct form.
    """
    parts = _FORM.fullmatch(text)
    if parts is None:
        raise InvalidFaultError(f"{text!r}: use KIND=SHARE[:DETAIL], such as drop=0.05")
    kind, share = KINDS.get(parts["kind"]), float(parts["share"])
    if kind is None:
        raise InvalidFaultError(f"{text!r}: {parts['kind']!r} is not one of {', '.join(KINDS)}")
    if share > 1:
        raise InvalidFaultError(f"{text!r}: the share must be from 0 to 1, such as 0.05 for 5 %")
    detail = kind.default if parts["detail"] is None else parts["detail"]
    value = kind.read(detail) if kind.read else (0 if parts["detail"] is None else None)
    if value is None:
        raise InvalidFaultError(f"{text!r}: after the colon, {parts['kind']} takes {kind.detail}")
    return Fault(parts["kind"], share, detail, value)


def parse_faults(texts: Iterable[str]) -> tuple[Fault, ...]:
    """Read faults that are to be used together.

    Raises:
        InvalidFaultError: one is invalid, or two have the same kind and detail.
    """
    faults = tuple(parse_fault(text) for text in texts)
    [(name, times)] = Counter(fault.name for fault in faults).most_common(1) or [("", 0)]
    if times > 1:
        raise InvalidFaultError(f"{name} is given {times} times; give it once")
    return faults


class Faults:
    """The faults of a running server and their counts; used by one thread only."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int | None = None) -> None:
        self.set(faults, seed)

    def set(self, faults: Iterable[Fault], seed: int | None = None) -> None:
        """Replace all faults and reset the counts; without a seed, use a random one."""
        self.seed = SystemRandom().randrange(_MAX_SEED) if seed is None else seed
        self.faults = sorted(faults, key=lambda fault: _ORDER.index(fault.kind))
        self.injected = {fault.name: 0 for fault in self.faults}
        self.seen = {DELIVERY: 0, PUBLISH: 0}
        self._dice = {fault: Random(f"{self.seed}/{fault.name}") for fault in self.faults}  # noqa: S311 - not for secrets
        if self.faults:
            logger.warning("Faults, seed %d: %s", self.seed, ", ".join(map(str, self.faults)))

    def clear(self) -> None:
        """Inject no more faults; the counts stay readable."""
        self.faults, self._dice = [], {}

    def draw(self, on: str) -> list[Fault]:
        """Decide which faults hit the next delivery or publish, in order of their effect."""
        if not self.faults:
            return []
        self.seen[on] += 1
        return [
            fault
            for fault, dice in self._dice.items()
            if fault.on == on and dice.random() < fault.share
        ]

    def count(self, fault: Fault) -> None:
        """Count that `fault` took effect: one that hits what an earlier one ended does not.

        A fault that was replaced in the meantime is not counted.
        """
        if fault.name in self.injected:
            self.injected[fault.name] += 1
