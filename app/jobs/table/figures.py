"""Figures that cost something: counted by one process at a time, and kept for all of them.

A row per figure has its value, when it was counted, and who counts it anew until when at the
latest. Nothing is written while nobody asks, and a restart loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, DateTime, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..values import jsonb
from .db import Base

#: Seconds after which another process may count what one has begun to count, and not ended.
LEASE = 120
#: Days after which a figure that nobody asks for is forgotten.
KEPT_DAYS = 8


class JobFigure(Base):
    """One figure; without a value while it is counted for the first time."""

    __tablename__ = "job_figures"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB, nullable=True)
    at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    took: Mapped[float] = mapped_column(server_default="0")
    claimed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class Kept:
    """A figure as it was counted last.

    Attributes:
        value: JSON.
        age: Seconds since then.
        took: Seconds that it took.
    """

    value: Any
    age: float
    took: float


_FIND = text(
    """
    SELECT name, value, greatest(0, extract(epoch FROM now() - at))::float8 AS age, took
      FROM job_figures WHERE name = ANY(:names) AND value IS NOT NULL
    """
).columns(value=JSONB)
_CLAIM = text(
    f"""
    INSERT INTO job_figures AS figure (name, claimed_until)
    VALUES (:name, now() + interval '{LEASE} seconds')
    ON CONFLICT (name) DO UPDATE SET claimed_until = excluded.claimed_until
     WHERE (figure.claimed_until IS NULL OR figure.claimed_until < now())
       AND (figure.at IS NULL OR figure.at <= now() - make_interval(secs => :kept))
    """  # noqa: S608 - our own number
)
_KEEP = text(
    """
    INSERT INTO job_figures AS figure (name, value, at, took)
    VALUES (:name, CAST(:value AS jsonb), now(), :took)
    ON CONFLICT (name) DO UPDATE
       SET value = excluded.value, at = excluded.at, took = excluded.took, claimed_until = NULL
    """
)
_RELEASE = text("UPDATE job_figures SET claimed_until = NULL WHERE name = :name")
_FORGET = text(
    f"DELETE FROM job_figures WHERE at < now() - interval '{KEPT_DAYS} days'"  # noqa: S608 - our own number
)


def find(connection: Connection, names: Sequence[str]) -> dict[str, Kept]:
    """Return those of some figures that were counted before."""
    rows = connection.execute(_FIND, {"names": list(names)})
    return {row.name: Kept(row.value, row.age, row.took) for row in rows}


def claim(connection: Connection, name: str, kept: float) -> bool:
    """Tell whether the caller is to count a figure: nobody does, and none is younger than `kept`.

    Args:
        connection: Its transaction ends before the counting begins.
        name: At most 300 characters.
        kept: Seconds for which the last value is good.
    """
    return connection.execute(_CLAIM, {"name": name, "kept": kept}).rowcount == 1


def keep(connection: Connection, name: str, value: Any, took: float) -> None:
    """Keep what was counted, a JSON value, and let go of the claim."""
    connection.execute(_FORGET)
    connection.execute(_KEEP, {"name": name, "value": jsonb.dumps(value), "took": took})


def release(connection: Connection, name: str) -> None:
    """Let go of a claim without a value, so that the next who asks counts."""
    connection.execute(_RELEASE, {"name": name})
