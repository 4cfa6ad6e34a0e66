"""Options that only matter when a message is accepted, unlike those for its whole life."""

from dataclasses import dataclass

from ..errors import bad_request
from .headers import Pair, read_boolean, read_duration, read_integer


@dataclass(frozen=True, slots=True)
class Admission:
    """Options for accepting a message. `delay` in seconds, `not_before` in unix seconds."""

    delay: int = 0
    not_before: int | None = None
    deduplication_id: str | None = None
    by_content: bool = False


_ADMISSION = frozenset(
    {
        "upstash-delay",
        "upstash-not-before",
        "upstash-deduplication-id",
        "upstash-content-based-deduplication",
    }
)


def split_admission(pairs: tuple[Pair, ...]) -> tuple[Admission, tuple[Pair, ...]]:
    """Divide the headers of a publish into options for its acceptance and those that it keeps.

    Raises:
        ApiError: 400, naming the header and what is wrong with it.
    """
    values = {name: value for name, value in pairs if name in _ADMISSION}
    if not values:
        return Admission(), pairs
    deduplication_id = values.get("upstash-deduplication-id")
    if deduplication_id is not None and (not deduplication_id or ":" in deduplication_id):
        reason = "cannot contain ':'" if deduplication_id else "cannot be empty"
        raise bad_request(f"DeduplicationId {reason}")
    admission = Admission(
        delay=read_duration(values, "upstash-delay") or 0,
        not_before=read_integer(values, "upstash-not-before"),
        deduplication_id=deduplication_id,
        by_content=read_boolean(values, "upstash-content-based-deduplication"),
    )
    return admission, tuple(pair for pair in pairs if pair[0] not in _ADMISSION)
