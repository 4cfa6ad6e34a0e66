"""What the jobs of the last days took of QStash, from hours that are counted once and kept."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, text

from . import buckets
from .buckets import HOUR, MINUTE, Kind, Span
from .db import in_transaction
from .usage_sql import BY_BUCKET, SUMMED

#: Seconds of counting after which a call returns what it has.
BUDGET = 1.0
DAY = 24 * HOUR

_PARTS = ("jobs", "messages", "retries", "callbacks", "legs")
#: By name: jobs, messages, retries, callbacks, legs.
Sums = dict[str, list[int]]
_OLDEST = text(
    "SELECT min(since) FROM job_buckets"
    " WHERE kind = :kind AND since >= :since AND value->'types' <> '{}'"
)


@dataclass(slots=True)
class Counted:
    """What a time came to.

    Attributes:
        types: By job type.
        organizations: By the organization's id as text; "" is no one's.
        oldest: Seconds since the first that was counted.
        is_complete: Not only the newer part of it has been counted.
    """

    is_complete: bool
    types: Sums = field(default_factory=dict)
    organizations: Sums = field(default_factory=dict)
    oldest: float = 0.0


def count(*, days: int, external: Sequence[str], by_organization: bool) -> Counted:
    """Return what jobs took that were recorded in the last days, to the hour.

    Args:
        days: How many; 0 is since midnight (UTC).
        external: The job types that other apps run.
        by_organization: Also by organization, which takes longer.

    Raises:
        DatabaseUnavailable: Nothing can be counted.
    """
    kind = Kind("usage", partial(_count, external=external), counted_again=True)
    now: datetime = in_transaction(lambda tx: tx.execute(text("SELECT now()")).scalar_one())
    since = buckets.floor(now - timedelta(days=days), HOUR if days else DAY)
    minutes_end = max(since, buckets.closed(now, MINUTE))
    hours_end = max(since, buckets.closed(now, HOUR))
    spans = [Span(MINUTE, hours_end, minutes_end), Span(HOUR, since, hours_end)]
    deadline = time.monotonic() + BUDGET
    found = Counted(all(buckets.count_up(kind, span, deadline) for span in spans))
    parts = ["types", "organizations"] if by_organization else ["types"]

    def read(tx: Connection) -> None:
        live = kind.count(tx, minutes_end, now + timedelta(seconds=1), DAY).get(0, {})
        for value in (live, *(_summed(tx, kind, span, parts) for span in spans)):
            _add(found.types, value.get("types", {}))
            _add(found.organizations, value.get("organizations", {}))
        given = {"kind": kind.name, "since": since}
        oldest: datetime | None = tx.execute(_OLDEST, given).scalar_one()
        found.oldest = (now - (oldest or minutes_end)).total_seconds()

    in_transaction(read)
    return found


def _summed(
    connection: Connection, kind: Kind, span: Span, parts: Sequence[str]
) -> dict[str, Sums]:
    summed: defaultdict[str, Sums] = defaultdict(dict)
    given = buckets.parameters(kind, span) | {"parts": list(parts)}
    for row in connection.execute(SUMMED, given):
        summed[row.part][row.name] = [getattr(row, name) for name in _PARTS]
    return summed


def _add(to: Sums, more: Mapping[str, Sequence[int]]) -> None:
    for name, parts in more.items():
        before = to.get(name, [0] * len(parts))
        to[name] = [one + other for one, other in zip(before, parts, strict=True)]


def _count(
    connection: Connection,
    since: datetime,
    until: datetime,
    seconds: int,
    *,
    external: Sequence[str],
) -> dict[int, dict[str, Any]]:
    counted: defaultdict[int, dict[str, Sums]]
    counted = defaultdict(lambda: {"types": {}, "organizations": {}})
    given = {"since": since, "until": until, "seconds": seconds, "external": list(external)}
    for row in connection.execute(BY_BUCKET, given):
        sums = [getattr(row, name) for name in _PARTS]
        if row.is_type:
            counted[row.bucket]["types"][row.job_type] = sums
        else:
            counted[row.bucket]["organizations"][row.organization or ""] = sums
    return dict(counted)
