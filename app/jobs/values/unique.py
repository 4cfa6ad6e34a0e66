"""Which jobs do the same work, so that one of them is enough: `Unique`."""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from .. import durations
from ..errors import InvalidOption, quoted
from .nearest import hint
from .options import Duration, parse_time

State = Literal["pending", "processing", "completed"]
OnConflict = Literal["return", "replace", "raise"]
#: What an enqueue came to: see `JobId`.
EnqueuedAs = Literal["new", "existing", "replaced", "follow-up"]

STATES = ("pending", "processing", "completed")
CONFLICTS = ("return", "replace", "raise")
#: What a row says instead of a state: it keeps others out until it begins, and then holds them up.
ONCE_MORE = "once more"

#: Where `at_most` is not given, it is so many times the debounce.
_TIMES = 10
_DIGITS = 32
_MOST_FIELDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """One job is enough of all that have the same type, organization and values of some fields.

    Whether one is there is decided by a unique index, however many enqueue at once.

    Attributes:
        fields: Of the payload, by their names in Python or on the wire; None is all of them, and
            `()` none, which makes one job per organization.
        period: For how long after its enqueue a job keeps others out, at most; a time, as `delay`.
        while_: In which parts of its life it does: "pending", until it begins; "processing", until
            it has ended, whatever retries that takes; "completed", until its period is over. Each
            needs those before it. The first two, if nothing is given; with `debounce`, the first.
        on_conflict: What an enqueue does that finds one: "return" its id, "replace" what it is to
            do if it has not begun, or "raise" `NotUnique`.
        once_more: While one runs, one more may wait, and begins when that has ended.
        debounce: Each enqueue replaces the one that waits and puts it off by this time from now,
            so that the last call within it wins.
        at_most: For how long calls can put it off, from the first on; ten times the debounce, if
            nothing is given.

    Raises:
        InvalidOption: Something makes no sense; the message says what to write.
    """

    fields: Sequence[str] | None = None
    period: Duration | None = None
    while_: Sequence[State] | None = None
    on_conflict: OnConflict | None = None
    once_more: bool = False
    debounce: Duration | None = None
    at_most: Duration | None = None

    def __post_init__(self) -> None:
        for name, value in _checked(self).items():
            object.__setattr__(self, name, value)

    @property
    def until(self) -> str:
        """How far into its life a job keeps its key, as its row says it."""
        return ONCE_MORE if self.once_more else str((self.while_ or STATES)[-1])

    @property
    def replaces(self) -> bool:
        return self.on_conflict == "replace"

    @property
    def seconds(self) -> Mapping[str, int | None]:
        """The times, which are checked by now."""
        return {name: getattr(self, name) for name in ("period", "debounce", "at_most")}

    def for_payload(self, known: Mapping[str, str], sealed: Sequence[str]) -> "Unique":
        """Return the same with its fields named as on the wire.

        Args:
            known: The payload's fields: their names on the wire and in Python.
            sealed: Paths of those that are sealed.

        Raises:
            InvalidOption: The payload has no such field, or it is sealed.
        """
        hidden = {path.partition(".")[0] for path in sealed}
        if self.fields is None:
            if hidden:
                raise InvalidOption(
                    f"unique: fields: {', '.join(sorted(hidden))} is sealed, and a key made of it "
                    "could be guessed; name the fields that are not"
                )
            return self
        found = [_on_the_wire(name, known) for name in self.fields]
        for name in found:
            if name in hidden:
                raise InvalidOption(
                    f"unique: fields: {name} is sealed, and a key made of it could be guessed; "
                    "leave it out"
                )
        named = copy(self)
        object.__setattr__(named, "fields", tuple(sorted(found)))
        return named

    def key(self, job_type: str, organization_id: object, wire: Mapping[str, Any]) -> str:
        """Return the same text for jobs of which one is enough, after `for_payload`."""
        names = sorted(wire) if self.fields is None else self.fields
        whose = None if organization_id is None else str(organization_id)
        said = [job_type, whose, [[name, wire.get(name)] for name in names]]
        return digest(said)

    def as_json(self) -> dict[str, Any]:
        """Return what a row keeps of it, for people."""
        told: dict[str, Any] = {
            "fields": None if self.fields is None else list(self.fields),
            **self.seconds,
        }
        told |= {"while": self.until, "on_conflict": self.on_conflict}
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What one job is unique by.

    Attributes:
        value: The same for jobs of which one is enough.
        rewrite: Writes the job's body out for another job, which it replaces, by that one's id.
    """

    rule: Unique
    value: str
    rewrite: Callable[[str], str]


def digest(said: Any) -> str:
    """Return the same text for the same JSON, and nothing that tells it."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]


def _checked(given: Unique) -> dict[str, Any]:
    _refuse_other_kinds(given)
    times = {
        name: None if (value := getattr(given, name)) is None else _time(name, value)
        for name in ("period", "debounce", "at_most")
    }
    _refuse_contradictions(given, times)
    debounces = times["debounce"] is not None
    if debounces and times["at_most"] is None:
        times["at_most"] = min(_TIMES * (times["debounce"] or 0), durations.LONGEST_DELAY)
    usual = STATES[:1] if debounces or given.once_more else STATES[:2]
    return {
        "fields": None if given.fields is None else tuple(given.fields),
        "while_": usual if given.while_ is None else _while(given.while_),
        "on_conflict": given.on_conflict or ("replace" if debounces else "return"),
        **times,
    }


def _refuse_other_kinds(given: Unique) -> None:
    fields: Any = given.fields
    if fields is not None:
        if not isinstance(fields, tuple | list) or not all(isinstance(one, str) for one in fields):
            fix = f"; write ({fields!r},)" if isinstance(fields, str) else ""
            raise InvalidOption(f"unique: fields: {quoted(fields)} is no tuple of names{fix}")
        if len(fields) > _MOST_FIELDS:
            raise InvalidOption(f"unique: fields: {len(fields)} are given; {_MOST_FIELDS} may be")
    if given.while_ is not None:
        _while(given.while_)
    if given.on_conflict not in (None, *CONFLICTS):
        said = f"{quoted(given.on_conflict)} is unknown; {hint(str(given.on_conflict), CONFLICTS)}"
        raise InvalidOption(f"unique: on_conflict: {said}")
    if not isinstance(given.once_more, bool):
        raise InvalidOption(f"unique: once_more: {quoted(given.once_more)} is not True or False")


def _refuse_contradictions(given: Unique, times: Mapping[str, int | None]) -> None:
    debounce, at_most = times["debounce"], times["at_most"]
    if debounce is None and at_most is not None:
        raise InvalidOption("unique: at_most: bounds a debounce; give that, too, or leave it out")
    if debounce is not None:
        if at_most is not None and at_most < debounce:
            raise InvalidOption(
                "unique: at_most: is shorter than debounce; the first call alone would go beyond it"
            )
        if given.on_conflict not in (None, "replace"):
            raise InvalidOption(
                "unique: on_conflict: with debounce the last call wins, so it replaces; leave it "
                "out"
            )
        _refuse_given(given, times, "debounce", "the job is free when it begins")
    if given.once_more:
        _refuse_given(given, times, "once_more", "the next waits until the one before has ended")
    elif given.while_ is not None and "completed" in given.while_ and times["period"] is None:
        raise InvalidOption(
            "unique: while_: a completed job would keep others out for ever; give a period, too"
        )


def _refuse_given(given: Unique, times: Mapping[str, int | None], name: str, reason: str) -> None:
    for other, value in (("while_", given.while_), ("period", times["period"])):
        if value is not None:
            raise InvalidOption(f"unique: {other} and {name}: {reason}; leave {other} out")


def _while(value: Any) -> tuple[str, ...]:
    known = ", ".join(STATES)
    if isinstance(value, str) or not isinstance(value, tuple | list) or not value:
        is_one = isinstance(value, str) and value in STATES
        fix = f"; write ({value!r},)" if is_one else f"; give some of {known}"
        raise InvalidOption(f"unique: while_: {quoted(value)} is no tuple of states{fix}")
    for one in value:
        if one not in STATES:
            near = hint(str(one), STATES)
            raise InvalidOption(f"unique: while_: unknown state {quoted(one)}; {near}")
    first = tuple(state for state in STATES if state in value)
    if first != STATES[: len(first)]:
        missing = ", ".join(STATES[: STATES.index(first[-1])])
        raise InvalidOption(
            f"unique: while_: a job that is {first[-1]} has been {missing} before; add what is left"
            " out"
        )
    return first


def _time(name: str, value: Any) -> int:
    seconds = parse_time(f"unique: {name}", value)
    if seconds > durations.LONGEST_DELAY:
        raise InvalidOption(f"unique: {name}: {quoted(value)} is more than a year; give less")
    return seconds


def _on_the_wire(name: str, known: Mapping[str, str]) -> str:
    if name in known:
        return name
    for wire, attribute in known.items():
        if attribute == name:
            return wire
    raise InvalidOption(f"unique: fields: unknown field {quoted(name)}; {hint(name, list(known))}")
