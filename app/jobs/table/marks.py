"""What is noted beside the jobs: a few moments, and messages that no job's row tells of.

Both tables stay small: a row per thing that has a last time, and one per day, kind and name.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Date, DateTime, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..values import jsonb
from .db import Base

#: Days after which a mark that nobody renews and a day's tallies are forgotten.
KEPT_DAYS = 400

#: The end of the last sweep, with what it did.
SWEEP = "sweep"
#: When the last sweep began that shares its turns with others.
SWEEP_TURN = "sweep turn"
#: When QStash last said that its daily quota is used up, with until when.
QUOTA = "quota"
#: Begins the mark of when a user of the dashboard last signed in.
SIGN_IN = "sign in "
#: Begins the mark of the last firing of a schedule that leaves no row.
FIRING = "firing "

#: Kinds of messages: sweeps that a schedule of QStash's asked for; firings that left no row, by job
#: type; and the doctor's probes.
SWEPT = "sweep"
EMPTY_RUN = "empty run"
PROBE = "probe"


class Mark(Base):
    """The last time of something."""

    __tablename__ = "job_marks"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))


class Tally(Base):
    """How many messages of a kind QStash delivered on a day (UTC) that no job's row tells of."""

    __tablename__ = "job_tallies"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    messages: Mapped[int] = mapped_column(BigInteger)


@dataclass(frozen=True, slots=True)
class Noted:
    """A mark as it was read."""

    at: datetime
    details: dict[str, Any]


_NOTE = text(
    """
    INSERT INTO job_marks (name, at, details)
    VALUES (:name, now(), CAST(:details AS jsonb))
    ON CONFLICT (name) DO UPDATE SET at = excluded.at, details = excluded.details
    """
)
_FIND = text("SELECT at, details FROM job_marks WHERE name = :name").columns(details=JSONB)
_REMOVE = text("DELETE FROM job_marks WHERE name = :name")
_TAKE_TURN = text(
    """
    INSERT INTO job_marks AS mark (name, at) VALUES (:name, now())
    ON CONFLICT (name) DO UPDATE SET at = now()
     WHERE mark.at <= now() - make_interval(secs => :every) OR mark.at > now()
    """
)
#: The day of now, in UTC.
TODAY = "(now() AT TIME ZONE 'UTC')::date"
_COUNT = text(
    f"""
    INSERT INTO job_tallies AS tally (day, kind, name, messages)
    VALUES ({TODAY}, :kind, :name, :messages)
    ON CONFLICT (day, kind, name) DO UPDATE SET messages = tally.messages + excluded.messages
    """  # noqa: S608 - our own text
)
_FORGET = (
    text(f"DELETE FROM job_marks WHERE at < now() - interval '{KEPT_DAYS} days'"),  # noqa: S608 - our own number
    text(f"DELETE FROM job_tallies WHERE day < {TODAY} - {KEPT_DAYS}"),  # noqa: S608 - as above
)


def note(connection: Connection, name: str, details: dict[str, Any]) -> None:
    """Note that something happened now, in place of its last time."""
    connection.execute(_NOTE, {"name": name, "details": jsonb.dumps(details)})


def find(connection: Connection, name: str) -> Noted | None:
    """Return the last time of something; None if it never was, or is forgotten."""
    row = connection.execute(_FIND, {"name": name}).one_or_none()
    return None if row is None else Noted(row.at, row.details)


def remove(connection: Connection, name: str) -> None:
    connection.execute(_REMOVE, {"name": name})


def take_turn(connection: Connection, name: str, every: float) -> bool:
    """Tell whether it is the caller's turn: one has it in `every` seconds, of any number."""
    given = {"name": name, "every": every}
    return connection.execute(_TAKE_TURN, given).rowcount == 1


def count(connection: Connection, kind: str, name: str = "", messages: int = 1) -> None:
    """Count messages that QStash delivered today."""
    connection.execute(_COUNT, {"kind": kind, "name": name, "messages": messages})


def forget(connection: Connection) -> None:
    """Delete what is older than `KEPT_DAYS`."""
    for statement in _FORGET:
        connection.execute(statement)
