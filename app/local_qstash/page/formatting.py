"""Numbers, times and bytes as words for the page."""

import codecs
import json
import re
from datetime import UTC, datetime
from functools import lru_cache

from ...cron import in_words
from ..errors import ApiError
from ..protocol.cron import parse_cron

CAP = 10_000  # counts stop here: nobody reads the difference, and it costs time
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))


def duration(ms: float) -> str:
    """Return a duration in its two largest units: `2 h 5 min`, `12 s`, `340 ms`."""
    rest = max(0, round(ms))
    for position, (unit, size) in enumerate(_UNITS):
        if rest >= size:
            return f"{rest // size} {unit}{_remainder(rest % size, position)}"
    return "0 ms"


def relative(ms: int, now: int) -> str:
    """Return a moment relative to `now`: `12 s ago`, `in 3 min`."""
    if abs(ms - now) < 1000:  # noqa: PLR2004 - within the same second
        return "just now" if ms <= now else "in a moment"
    whole = abs(ms - now) // 1000 * 1000
    return f"{duration(whole)} ago" if ms < now else f"in {duration(whole)}"


def absolute(ms: int) -> str:
    """Return a moment in this machine's time zone, which it names."""
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def calendar(ms: int) -> str:
    """Return a moment to the minute in this machine's time zone: `Tue 24 Nov 09:00`."""
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%a %d %b %H:%M")


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def count(number: int) -> str:
    """Return a count with thousands separators; one above the cap as `10,000+`."""
    return f"{CAP:,}+" if number > CAP else f"{number:,}"


def size(length: int) -> str:
    for unit, divisor in (("MB", 1_000_000), ("kB", 1000)):
        if length >= divisor:
            return f"{length / divisor:.1f} {unit}"
    return f"{length} B"


def text_of(body: bytes, *, cut: bool = False) -> str | None:
    """Return a body as text, JSON indented; None if it is not text. `cut`: its end is missing."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(body, not cut)
    except UnicodeDecodeError:
        return None
    return text if cut else _indented(text)


@lru_cache(maxsize=1024)
def cron_in_words(expression: str) -> str:
    """Return a cron expression in words, with its time zone."""
    try:
        schedule = parse_cron(expression)
    except ApiError:  # an older version took it
        return expression
    return f"{in_words(schedule)} ({schedule.zone})"


def _remainder(rest: int, position: int) -> str:
    unit, length = _UNITS[min(position + 1, len(_UNITS) - 1)]
    return f" {rest // length} {unit}" if unit not in ("ms", "s") and rest >= length else ""


def _indented(text: str) -> str:
    """Spread JSON over lines without touching its values: a long number must not be rounded."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _spread(_TOKEN.findall(text))


def _spread(parts: list[str]) -> str:
    spread, depth, before = [], 0, ""
    for part in parts:
        closes = part in "}]"
        depth -= closes
        opened = before != "" and before in "{["
        if before == "," or opened != closes:
            spread.append("\n" + "  " * depth)
        spread.append({",": ",", ":": ": "}.get(part, part))
        depth += part in "{["
        before = part
    return "".join(spread)
