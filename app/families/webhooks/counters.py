"""What was refused, counted in this process since it started."""

from collections import Counter
from collections.abc import Mapping
from threading import Lock

_counts: Counter[tuple[str, str]] = Counter()
_lock = Lock()


def count_failed_signature(source: str, reason: str) -> int:
    """Count a request whose signature did not hold; return how many there were of its kind."""
    with _lock:
        _counts[source, reason] += 1
        return _counts[source, reason]


def failed_signatures() -> Mapping[tuple[str, str], int]:
    """Return the counts by source and reason."""
    with _lock:
        return dict(_counts)
