"""What a minute or an hour came to: counted once it is over, and kept.

So a chart of a week with ten million jobs reads some 170 rows.

A kind of bucket says what is counted of the jobs whose time, such as that of their end, lies in it.
Only what somebody looks at is counted, the newest first, a piece at a time.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, DateTime, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..values import jsonb
from .db import Base, in_transaction

MINUTE, HOUR = 60, 3_600
#: Seconds after the end of a bucket from which on it can be counted: a transaction that names a
#: moment in it may be committed a little later.
SETTLED = {MINUTE: 15, HOUR: 120}
#: Seconds after which a bucket of that length is forgotten.
KEPT = {MINUTE: 3 * HOUR, HOUR: 35 * 24 * HOUR}
#: Seconds that one statement should take at most, as far as the one before it tells.
PIECE = 0.2
#: Most buckets that one statement counts.
MOST = 64
#: What is counted again is so at 16 times the age at which it was before, up to three days.
_AGAIN = f"""
    least(extract(epoch FROM now() - since) - seconds, {3 * 24 * HOUR})
    > 16 * (extract(epoch FROM counted_at - since) - seconds)
"""


class JobBucket(Base):
    """What one stretch of time came to."""

    __tablename__ = "job_buckets"

    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    seconds: Mapped[int] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    counted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    value: Mapped[Any] = mapped_column(JSONB)


#: Counts the jobs from one moment until before another, by buckets of so many seconds from the
#: first moment on; one without jobs may be left out.
Count = Callable[[Connection, datetime, datetime, int], Mapping[int, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is counted.

    Attributes:
        counted_again: What a bucket comes to still changes after its end.
    """

    name: str
    count: Count
    counted_again: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Buckets of one length that follow each other: from `since` until before `until`."""

    seconds: int
    since: datetime
    until: datetime


_WANTED = text(
    f"""
    SELECT since FROM generate_series(
               CAST(:since AS timestamptz),
               CAST(:until AS timestamptz) - make_interval(secs => :seconds),
               make_interval(secs => :seconds)) AS wanted (since)
     WHERE NOT EXISTS (
        SELECT FROM job_buckets AS bucket
         WHERE kind = :kind AND seconds = :seconds AND bucket.since = wanted.since)
    UNION ALL
    SELECT since FROM job_buckets
     WHERE kind = :kind AND seconds = :seconds AND since >= :since AND since < :until
       AND :again AND {_AGAIN}
     ORDER BY since DESC
    """  # noqa: S608 - our own text
)
_KEEP = text(
    """
    INSERT INTO job_buckets (kind, seconds, since, counted_at, value)
    SELECT :kind, :seconds, CAST(one->>0 AS timestamptz), now(), one->1
      FROM jsonb_array_elements(CAST(:buckets AS jsonb)) AS one
    ON CONFLICT (kind, seconds, since) DO UPDATE
       SET counted_at = excluded.counted_at, value = excluded.value
    """
)
_READ = text(
    """
    SELECT since, value FROM job_buckets
     WHERE kind = :kind AND seconds = :seconds AND since >= :since AND since < :until
     ORDER BY since
    """
).columns(value=JSONB)
_FORGET = text(
    "DELETE FROM job_buckets"
    " WHERE seconds = :seconds AND since < now() - make_interval(secs => :kept)"
)


def closed(now: datetime, seconds: int) -> datetime:
    """Return the end of the last bucket of that length that can be counted."""
    return floor(now - timedelta(seconds=SETTLED[seconds]), seconds)


def floor(moment: datetime, seconds: int) -> datetime:
    """Return the beginning of the bucket, in UTC, that a moment lies in."""
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


def count_up(kind: Kind, span: Span, deadline: float) -> bool:
    """Count what is not counted yet, the newest first; tell whether all is.

    Each piece is kept by itself, so that who stops, or dies, goes on where it was.

    Args:
        kind: What to count.
        span: Of buckets that are closed.
        deadline: When to stop, as `time.monotonic` has it.
    """
    given = {**parameters(kind, span), "again": kind.counted_again}
    wanted = list(in_transaction(lambda tx: tx.execute(_WANTED, given).scalars().all()))
    most, is_any = 1, bool(wanted)
    while wanted and time.monotonic() < deadline:
        piece = _following(wanted, span.seconds, most)
        began = time.monotonic()
        in_transaction(lambda tx, piece=piece: _count(tx, kind, span.seconds, piece))  # type: ignore[misc]
        is_quick = time.monotonic() - began < PIECE / 2
        most = min(MOST, 2 * most) if is_quick else max(1, most // 2)
        del wanted[: len(piece)]
    if is_any and span.seconds == HOUR:
        in_transaction(_forget)
    return not wanted


def read(connection: Connection, kind: Kind, span: Span) -> list[tuple[datetime, Any]]:
    """Return the buckets of a span that are counted, the oldest first, each with its beginning."""
    rows = connection.execute(_READ, parameters(kind, span))
    return [(row.since.astimezone(UTC), row.value) for row in rows]


def parameters(kind: Kind, span: Span) -> dict[str, Any]:
    """Return what a statement about the buckets of a span is given."""
    return {
        "kind": kind.name,
        "seconds": span.seconds,
        "since": span.since,
        "until": span.until,
    }


def _following(wanted: list[datetime], seconds: int, most: int) -> list[datetime]:
    """Return the first of some beginnings, of buckets that follow each other without a gap."""
    step = timedelta(seconds=seconds)
    piece = wanted[:1]
    for since in wanted[1:most]:
        if piece[-1] - since != step:
            break
        piece.append(since)
    return piece


def _count(connection: Connection, kind: Kind, seconds: int, piece: list[datetime]) -> None:
    first, last = piece[-1], piece[0]
    found = kind.count(connection, first, last + timedelta(seconds=seconds), seconds)
    buckets = [
        [since.isoformat(), found.get(number, {})] for number, since in enumerate(reversed(piece))
    ]
    given = {"kind": kind.name, "seconds": seconds, "buckets": jsonb.dumps(buckets)}
    connection.execute(_KEEP, given)


def _forget(connection: Connection) -> None:
    for seconds, kept in KEPT.items():
        connection.execute(_FORGET, {"seconds": seconds, "kept": kept})
