"""Durations: parsed from numbers and text, and formatted for people."""

import re
from datetime import timedelta
from typing import Any

# More digits exceed any time, and Python refuses numbers of some thousand digits.
_PART = "(?:([0-9]{1,1000})%s)?"
_WRITTEN = re.compile("".join(_PART % unit for unit in "dhms"))
_NUMBER = re.compile(r"[0-9]{1,1000}\.?[0-9]{0,1000}|\.[0-9]{1,1000}")
_MINUTE = 60
_HOURS_A_DAY = 24

#: QStash refuses a longer delay, whatever the plan (https://upstash.com/pricing/qstash).
LONGEST_DELAY = 365 * 24 * 60 * 60


def is_written(text: str) -> bool:
    """Tell whether a text is a duration such as "1h30m"."""
    return bool(text) and _WRITTEN.fullmatch(text) is not None


def parse(value: Any) -> float:
    """Return the seconds of a number, a timedelta or text such as "1h30m".

    Raises:
        ValueError: Its message is to follow the value.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, str):
        match = _WRITTEN.fullmatch(value)
        if not match or not value:
            raise ValueError('is not a duration; write it like "90s" or "1h30m"')
        days, hours, minutes, rest = (int(part or 0) for part in match.groups())
        value = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a duration; give seconds or a timedelta")  # noqa: TRY004 - as above
    if not 0 <= value < float("inf"):
        raise ValueError("is not a time from now on; give 0 or more seconds")
    return value


def parse_some(value: Any) -> float:
    """Do the same for a time that has to be longer than none.

    Raises:
        ValueError: As for `parse`.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if (is_number and number <= 0) or not (seconds := parse(value)):
        raise ValueError("is too short; give at least one second")
    return seconds


def parse_written(text: str) -> float:
    """Return the seconds of text in which a number alone is seconds, too: a setting, a command's.

    Raises:
        ValueError: As for `parse`.
    """
    return parse(float(text) if _NUMBER.fullmatch(text) else text)


def parse_delay(value: Any) -> float:
    """Return the seconds of a delay, at most a year; raises as `parse` does."""
    seconds = parse(value)
    if seconds > LONGEST_DELAY:
        raise ValueError("is more than a year, which QStash rejects")
    return seconds


def in_words(seconds: float | None) -> str:
    """Return a duration in a suitable unit; None is a dash."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    if hours >= 2 * _HOURS_A_DAY:
        days, hours = divmod(hours, _HOURS_A_DAY)
        large, small = f"{days} d", f"{hours} h"
    else:
        large, small = (f"{hours} h", f"{minutes} m") if hours else (f"{minutes} m", f"{rest} s")
    return large if small.startswith("0 ") else f"{large} {small}"
