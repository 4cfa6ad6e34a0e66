"""Parsing an expression: five fields or an `@` name, optionally after a time zone.

The rules are those of robfig/cron v3's standard parser, including the surprising ones:

- `?` is `*`. There is no `L`, `W` or `#`, and Sunday is 0 or SUN, never 7.
- `N/step` runs from N to the end of the field. Empty parts of a list are dropped.
- Day of month and day of week must both match if one of them is `*`, else one is enough; a star
  with a step of 2 or more does not count as `*` here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from .durations import parse_duration
from .errors import CronError, NeverFiresError
from .firing import Walk

_INTEGER = re.compile(r"[+-]?[0-9]+")
_MAX_INTEGER = 2**63 - 1
_EVERY = "@every "
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class _Bounds:
    name: str
    lowest: int
    highest: int
    names: Mapping[str, int] = field(default_factory=dict)


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_BOUNDS = (
    _Bounds("minute", 0, 59),
    _Bounds("hour", 0, 23),
    _Bounds("day-of-month", 1, 31),
    _Bounds("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Bounds("day-of-week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


@dataclass(frozen=True, slots=True)
class Fields:
    """Five parsed fields; `text` is how they were written, or what their `@` name means."""

    text: str
    zone: tzinfo
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # from 0, Sunday
    both_days: bool  # whether day of month and day of week must both match

    def next(self, after: datetime) -> datetime:
        """Return the first moment after `after` at which it fires, in its own time zone.

        Raises:
            NeverFiresError: there is none within five years, after which robfig/cron gives up.
        """
        if all((self.minutes, self.hours, self.days or self.weekdays, self.months)):
            start = int(after.timestamp() // 1)
            found = Walk(self, start).run()
            while found is not None and found <= start:  # never fire in the past
                start += 60
                found = Walk(self, start).run()
            if found is not None:
                return datetime.fromtimestamp(found, self.zone)
        raise NeverFiresError("it does not fire within the next five years")

    def fits_day(self, moment: datetime) -> bool:
        of_month = moment.day in self.days
        of_week = (moment.weekday() + 1) % 7 in self.weekdays
        return (of_month and of_week) if self.both_days else (of_month or of_week)


@dataclass(frozen=True, slots=True)
class Every:
    """`@every 90m`: a fixed time after the previous firing, or after the schedule was created."""

    text: str
    zone: tzinfo
    delay: timedelta

    def next(self, after: datetime) -> datetime:
        """Return the moment one delay after `after`, at a full second.

        Raises:
            NeverFiresError: it is beyond the calendar.
        """
        try:
            return (after.astimezone(UTC).replace(microsecond=0) + self.delay).astimezone(self.zone)
        except OverflowError:
            raise NeverFiresError("it does not fire before the end of the calendar") from None


Schedule = Fields | Every


def parse(expression: str) -> Schedule:
    """Return the schedule that an expression describes.

    Raises:
        CronError: the message says which part of it is wrong.
    """
    if not expression:
        raise CronError("empty spec string")
    text, zone = _split_zone(expression)
    if text.startswith(_EVERY):
        return Every(text, zone, _delay(text))
    if text.startswith("@"):
        if text not in _NAMED:
            raise CronError(f"unrecognized descriptor: {text}")
        text = _NAMED[text]
    parts = text.split()
    if len(parts) != len(_BOUNDS):
        raise CronError(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    minutes, hours, days, months, weekdays = (
        _field(part, bounds) for part, bounds in zip(parts, _BOUNDS, strict=True)
    )
    return Fields(
        " ".join(parts),
        zone,
        minutes.numbers,
        hours.numbers,
        days.numbers,
        months.numbers,
        weekdays.numbers,
        both_days=days.is_star or weekdays.is_star,
    )


def _split_zone(expression: str) -> tuple[str, tzinfo]:
    if not expression.startswith(("TZ=", "CRON_TZ=")):
        return expression, UTC
    head, space, rest = expression.partition(" ")
    name = head.partition("=")[2]
    if not space:
        raise CronError(f"there are no fields after the time zone {name!r}")
    return rest.strip(), _zone(name)


def _zone(name: str) -> tzinfo:
    if name in ("", "UTC", "Local"):  # whose locality QStash's servers have
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a folder of the zone database, malformed
        raise CronError(f"unknown time zone {name!r}") from None


def _delay(text: str) -> timedelta:
    seconds = parse_duration(text.removeprefix(_EVERY))
    if seconds is None:
        raise CronError(f"failed to parse duration {text}: use for example @every 1h30m")
    return timedelta(seconds=max(seconds, 1))


@dataclass(frozen=True, slots=True)
class _Field:
    numbers: frozenset[int]
    is_star: bool


def _field(text: str, bounds: _Bounds) -> _Field:
    parts = [_range(part, bounds) for part in text.split(",") if part]
    return _Field(
        frozenset().union(*(part.numbers for part in parts)), any(part.is_star for part in parts)
    )


def _range(text: str, bounds: _Bounds) -> _Field:
    ends, *steps = text.split("/")
    if len(steps) > 1:
        raise _bad(bounds, f"too many slashes: {text}")
    first, *others = ends.split("-")
    is_star = first in ("*", "?")
    low, high = (bounds.lowest, bounds.highest) if is_star else _ends(first, others, text, bounds)
    step = _integer(steps[0], bounds) if steps else 1
    if steps and not others:
        high = bounds.highest
    if low < bounds.lowest:
        below = f"beginning of range ({low}) below minimum ({bounds.lowest}): {text}"
        raise _bad(bounds, below)
    if high > bounds.highest:
        raise _bad(bounds, f"end of range ({high}) above maximum ({bounds.highest}): {text}")
    if low > high:
        raise _bad(bounds, f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise _bad(bounds, f"step of range should be a positive number: {text}")
    return _Field(frozenset(range(low, high + 1, step)), is_star and step == 1)


def _ends(first: str, others: list[str], text: str, bounds: _Bounds) -> tuple[int, int]:
    low = _number(first, bounds)
    if len(others) > 1:
        raise _bad(bounds, f"too many hyphens: {text}")
    return low, _number(others[0], bounds) if others else low


def _number(text: str, bounds: _Bounds) -> int:
    named = bounds.names.get(text.lower()) if text.isascii() else None
    return _integer(text, bounds) if named is None else named


def _integer(text: str, bounds: _Bounds) -> int:
    if not _INTEGER.fullmatch(text):
        raise _bad(bounds, f'failed to parse int from {text}: "{text}" is no number')
    # Not by int() alone, whose error for thousands of digits is a different one.
    number = int(text) if len(text.lstrip("+-0")) < len(str(_MAX_INTEGER)) + 1 else _MAX_INTEGER + 1
    if abs(number) > _MAX_INTEGER:
        raise _bad(bounds, f"failed to parse int from {text[:40]}: value out of range")
    if number < 0:
        raise _bad(bounds, f"negative number ({number}) not allowed: {text}")
    return number


def _bad(bounds: _Bounds, reason: str) -> CronError:
    return CronError(f"Bad {bounds.name}: {reason}")
