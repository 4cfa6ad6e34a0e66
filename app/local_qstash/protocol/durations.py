"""QStash's notations of durations."""

import re

from ..errors import bad_request

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(?:[0-9]{1,12}[smhd]){1,20}")
_LONGEST = 10**12 - 1  # so that it can be written in seconds again, for a callback
_GO_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str, name: str) -> int:
    """Return the seconds in a duration such as `50s` or `1d10h30m`.

    Raises:
        ApiError: 400, naming the header, if the text is not a duration.
    """
    text = text.strip()
    if not _DURATION.fullmatch(text):
        raise bad_request(f"{name}: invalid duration {text!r}, use for example 50s, 3m or 1d10h30m")
    seconds = sum(int(part[:-1]) * _SECONDS[part[-1]] for part in re.findall(r"[0-9]+[smhd]", text))
    if seconds > _LONGEST:
        raise bad_request(f"{name}: {text!r} is longer than {_LONGEST}s")
    return seconds


def parse_go_duration(text: str) -> float | None:
    """Return the seconds in Go's notation (`6m5s`, `250ms`), or None if it is something else."""
    parts = _GO_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _GO_SECONDS[unit] for number, unit in parts)
