"""Format values for people."""

import re
from datetime import date

from app.accounts import currencies
from app.families.reports.period import Period
from app.families.reports.report import Money, Unit, Value

NOTHING = "–"  # noqa: RUF001 - an en dash is what it is
_SPACE, _MINUS = "\u00a0", "\u2212"
_BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def text(value: Value, unit: Unit) -> str:
    """Format a value with its unit: `1,204`, `3.2%`, `$48,230.00`, `340 ms`, `1 Oct 2026`."""
    if value is None:
        return NOTHING
    if isinstance(value, Money):
        return money(value)
    if isinstance(value, date):
        return day(value)
    if isinstance(value, str):
        return printable(value)
    return number(value, unit)


def number(value: float, unit: Unit) -> str:
    match unit:
        case Unit.PERCENT:
            return _signed(f"{value * 100:.1f}%")
        case Unit.SECONDS:
            return seconds(value)
    return _signed(f"{value:,.0f}")


def money(value: Money) -> str:
    return currencies.written(value.amount, value.currency, minus=_MINUS)


def seconds(value: float) -> str:
    """Format a duration with about three digits: `340 ms`, `1.24 s`, `2 m 05 s`, `3 h 20 m`."""
    if value < 0.9995:  # noqa: PLR2004 - what rounds to 1000 ms is 1 s
        return f"{value * 1000:.0f}{_SPACE}ms"
    if value < 59.95:  # noqa: PLR2004 - as above
        return f"{value:.{2 if value < 9.995 else 1}f}{_SPACE}s"  # noqa: PLR2004 - as above
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"{minutes}{_SPACE}m{_SPACE}{rest:02}{_SPACE}s"
    return f"{minutes // 60:,}{_SPACE}h{_SPACE}{minutes % 60:02}{_SPACE}m"


def change(value: float | None, unit: Unit) -> str:
    """Format a change: `+12.5%`, or in points for a percentage (`+1.2 pp`)."""
    if value is None:
        return ""
    shown = f"{abs(value) * 100:,.1f}"
    sign = "±" if float(shown.replace(",", "")) == 0 else "+" if value > 0 else _MINUS
    return f"{sign}{shown}{f'{_SPACE}pp' if unit is Unit.PERCENT else '%'}"


def short(value: float, unit: Unit, currency: str | None = None) -> str:
    """Format a value on an axis briefly: `1.5k`, `$12k`, `30%`, `200 ms`."""
    if unit is Unit.PERCENT:
        return f"{value * 100:g}%"
    if unit is Unit.SECONDS:
        return _short_seconds(value)
    if currency:
        sign = currencies.symbol(currency)
        # An axis has no room for a code, which is in the chart's title.
        major = value / 10 ** currencies.decimals(currency)
        return f"{'' if sign.endswith(_SPACE) else sign}{_short_count(major)}"
    return _short_count(value)


def day(value: date, *, year: bool = True) -> str:
    # Not %-d, which not every platform supports.
    return f"{value.day} {value:%b %Y}" if year else f"{value.day} {value:%b}"


def days(period: Period) -> str:
    """Format a period briefly: `1–31 Oct 2026`."""  # noqa: RUF002 - en dash
    start, end = period.start, period.end
    if start == end:
        return day(end)
    if (start.year, start.month) == (end.year, end.month):
        return f"{start.day}–{day(end)}"  # noqa: RUF001 - en dash
    return f"{day(start, year=start.year != end.year)} – {day(end)}"  # noqa: RUF001 - en dash


def printable(value: str) -> str:
    """Replace control characters, which no page can show and XML does not allow.

    Direction marks are dropped, because they would reorder the text around them.
    """
    shown = _BIDI_CONTROLS.sub("", value)
    return "".join(char if char >= " " and char != "\x7f" else " " for char in shown)


def clipped(value: str, width: int) -> str:
    return value if len(value) <= width else f"{value[: width - 1].rstrip()}…"


def _short_seconds(value: float) -> str:
    if value == 0:
        return "0"
    if value < 1:
        return f"{value * 1000:g} ms"
    return f"{value:g} s" if value < 120 else f"{value / 60:g} m"  # noqa: PLR2004 - two minutes


def _short_count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _signed(shown: str) -> str:
    return shown.replace("-", _MINUS)
