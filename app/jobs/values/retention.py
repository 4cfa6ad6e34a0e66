"""For how long jobs that ended are kept, by how they ended."""

from collections.abc import Mapping
from typing import Any

from .. import durations

#: How a job can end.
ENDS = ("completed", "cancelled", "dead")
#: Seconds: until then QStash may deliver a message again whose answer it did not get, and the row
#: is how we know that the job has run.
SHORTEST = 24 * 60 * 60

_LONGEST = 100 * 365 * 24 * 60 * 60

#: Seconds, by how the job ended.
Retention = Mapping[str, float]


def check_retention(given: Any) -> Retention:
    """Return seconds by how a job ended, from a mapping, or a text such as "dead=90d".

    Raises:
        ValueError: With what is to follow the value in a sentence.
    """
    times = _written(given) if isinstance(given, str) else given
    if not isinstance(times, Mapping):
        raise ValueError("is not a dict such as {'completed': '7d', 'dead': '90d'}")  # noqa: TRY004 - as all here
    return {_end(end): _time(end, time) for end, time in times.items()}


def _written(given: str) -> dict[str, str]:
    """Read `completed=7d,dead=90d`."""
    pairs = [part.partition("=") for part in given.split(",") if part.strip()]
    return {end.strip(): time.strip() for end, _, time in pairs}


def _end(end: Any) -> str:
    if end not in ENDS:
        raise ValueError(f"says how long to keep what is {end!r}; it can say {', '.join(ENDS)}")
    return str(end)


def _time(end: str, time: Any) -> float:
    try:
        seconds = durations.parse_written(time) if isinstance(time, str) else durations.parse(time)
    except ValueError as error:
        raise ValueError(f"keeps what is {end} for {time!r}, which {error}") from None
    if not SHORTEST <= seconds <= _LONGEST:
        raise ValueError(
            f"keeps what is {end} for {time!r}; give one day at least, as QStash may deliver a "
            "message again for that long, and a hundred years at most"
        )
    return seconds
