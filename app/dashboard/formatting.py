"""Numbers, times and JSON as the pages show them."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask import current_app
from markupsafe import Markup, escape

from ..jobs.kit import durations, hidden
from ..jobs.operate import AtLeast

#: Counting ends here: nobody reads the difference, and it would cost time.
CAP = 10_000
#: Characters of a text that a list shows.
LINE = 200
#: Characters of an id that are shown where there is little room: our ids begin with the time, so
#: that those of one moment differ in their third and fourth group first.
SHORT = 23

#: What was done to jobs, by the action.
DONE = {"retry": "retried", "cancel": "cancelled", "delete": "deleted", "move": "moved"}

#: From here on a whole number is shown as JSON's readers write it: a digit and an exponent.
_LONG = 10**21

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def count(number: int | None) -> str:
    """Return a count with thousands separators; `10,000+` above the cap, and `many` for None."""
    if number is None:
        return "many"
    if number > CAP:
        return f"{CAP:,}+"
    return f"{number:,}+" if isinstance(number, AtLeast) else f"{number:,}"


def count_all(number: int) -> str:
    """Return a count that has no cap, with thousands separators."""
    return f"{number:,}"


def plural(number: int | None, one: str, many: str | None = None) -> str:
    """Return a count with its noun: `1 job`, `3 jobs`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units; an em dash for None."""
    return "—" if seconds is None else durations.in_words(seconds)


def brief(seconds: float) -> str:
    """Return a duration in its largest unit: `3 min`."""
    rest = max(0, int(seconds))
    return next(f"{rest // size} {unit}" for size, unit in _UNITS if rest >= size or size == 1)


def moment(when: datetime | None, *, now: datetime | None = None) -> Markup:
    """Return a time relative to now, with the absolute one as its title; an em dash for None."""
    if when is None:
        return Markup("—")
    passed = ((now or datetime.now(UTC)) - when).total_seconds()
    if abs(passed) < 1:
        words = "just now"
    else:
        words = f"{brief(passed)} ago" if passed > 0 else f"in {brief(-passed)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        when.astimezone(UTC).isoformat(), absolute(when), words
    )


def absolute(when: datetime) -> str:
    """Return a time to the second, and its zone: that of JOBS_DASHBOARD_TIMEZONE."""
    return local(when, "%Y-%m-%d %H:%M:%S")


def local(when: datetime, form: str) -> str:
    """Return a time in the form of `strftime`, and its zone."""
    zone = ZoneInfo(current_app.config["JOBS_DASHBOARD_TIMEZONE"])
    return when.astimezone(zone).strftime(f"{form} %Z")


def clock(at: str) -> Markup:
    """Return the time of day of a log line to the millisecond, with the whole of it as its title.

    Args:
        at: As ISO 8601 has it.
    """
    try:
        when = datetime.fromisoformat(at)
    except ValueError:  # a row that was written by hand
        return escape(at)
    seconds, _, _ = local(when, "%H:%M:%S").partition(" ")
    return Markup('<time datetime="{}" title="{}">{}.{:03d}</time>').format(
        at, absolute(when), seconds, when.microsecond // 1000
    )


def short_id(job_id: str) -> str:
    """Return as much of an id as people compare."""
    return job_id if len(job_id) <= SHORT else f"{job_id[:SHORT]}…"


def line(text: str | None) -> str:
    """Return a text as one line of at most `LINE` characters."""
    found = " ".join((text or "").split())
    return found if len(found) <= LINE else f"{found[: LINE - 1]}…"


def pretty(value: Any) -> str:
    """Return JSON spread over lines, without secrets, in the order in which it is stored."""
    return json.dumps(_shortened(hidden(value)), indent=2, ensure_ascii=False)


def _shortened(value: Any) -> Any:
    """Return JSON in which `1e300` is a float again, of which jsonb has kept 301 digits."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, int) and abs(value) >= _LONG:
        with suppress(OverflowError):
            short = float(value)
            return short if Decimal(repr(short)) == value else value
    return value


def rate(number: float) -> str:
    """Return how many in a minute, with as many digits as say something."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"  # noqa: PLR2004 - two digits


def percent(share: float | None) -> str:
    """Return a share from 0 to 1 as percent; an em dash for None."""
    if share is None:
        return "—"
    return f"{share:.0%}" if share in {0, 1} else f"{share:.1%}"


def marked(text: str, part: str | None) -> Markup:
    """Return a text with what was searched for in it marked, in any case."""
    start = text.lower().find(part.lower()) if part else -1
    if start < 0 or not part:
        return escape(text)
    end = start + len(part)
    return Markup("{}<mark>{}</mark>{}").format(text[:start], text[start:end], text[end:])


def coded(text: str) -> Markup:
    """Return a text in which what is between backticks, such as a command, is code."""
    parts = [escape(part) for part in text.split("`")]
    if len(parts) % 2 == 0:  # one of them has no other
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


_FILTERS = (
    *(count, count_all, plural, rate, percent, duration, brief, moment, absolute, clock),
    *(short_id, line, pretty, marked, coded),
)
FILTERS = {one.__name__: one for one in _FILTERS}
