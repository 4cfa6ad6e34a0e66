"""Go's notation of durations, as in `@every 1h30m`."""

import re

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]{0,20})(?:\.([0-9]{0,40}))?(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 2**63 - 1  # nanoseconds


def parse_duration(text: str) -> int | None:
    """Return the whole seconds in `1h30m`, `-1.5h` or `0`; None where Go refuses it."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    total, position = 0, 0
    while position < len(unsigned):
        part = _PART.match(unsigned, position)
        if part is None or not (part[1] or part[2]):
            return None
        unit = _NANOSECONDS[part[3]]
        total += int(part[1] or 0) * unit + int(part[2] or 0) * unit // 10 ** len(part[2] or "")
        position = part.end()
    if not unsigned or total > _LONGEST:
        return None
    seconds = total // _NANOSECONDS["s"]
    return -seconds if text.startswith("-") else seconds
