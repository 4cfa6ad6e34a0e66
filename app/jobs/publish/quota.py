"""QStash's daily quota: once it is used up, nobody asks QStash again before it is renewed.

QStash answers 429 and says when the quota is renewed
(https://upstash.com/docs/qstash/api/api-ratelimiting). From then on jobs are recorded and stay in
the outbox; the sweep publishes them afterwards. A process keeps the time in memory, and a mark in
the database tells the others, and people.
"""

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import random

from ..errors import DatabaseUnavailable, QuotaUsedUp
from ..table import marks
from ..table.db import in_transaction

log = logging.getLogger(__name__)

#: Seconds after the renewal within which processes begin again, each at its own time.
SPREAD = 30.0
_COUNT = re.compile(r"[0-9]{1,18}")
#: A renewal that is said to be later is not believed: a day has no more hours.
_LONGEST = timedelta(hours=25)


@dataclass(frozen=True, slots=True)
class UsedUp:
    """What is known of a quota that is used up.

    Attributes:
        until: When it is renewed.
        limit: Messages per day; None where QStash did not say.
    """

    until: datetime
    limit: int | None

    def __str__(self) -> str:
        until = f"{self.until:%Y-%m-%d %H:%M} UTC"
        if self.limit is None:
            return f"QStash's daily quota is used up until {until}"
        return f"QStash's daily quota of {self.limit:,} messages is used up until {until}"


class Gate:
    """What one process knows of the quota: closed while that is used up.

    Attributes:
        known: What QStash said last; None where it never refused a message.
    """

    def __init__(self) -> None:
        self.known: UsedUp | None = None
        self._opens_at = datetime.min.replace(tzinfo=UTC)

    @property
    def is_known_to_last(self) -> bool:
        """Whether the quota was used up, and is not renewed yet by the time that QStash gave."""
        return self.known is not None and self.known.until > datetime.now(UTC)

    @property
    def closed(self) -> UsedUp | None:
        """Return what is used up; None where QStash may be asked."""
        return self.known if datetime.now(UTC) < self._opens_at else None

    def check(self) -> None:
        """See that QStash may be asked.

        Raises:
            QuotaUsedUp: Not yet.
        """
        if (known := self.closed) is not None:
            raise QuotaUsedUp(str(known), until=known.until)

    def close(self, known: UsedUp) -> None:
        """Ask no more until the quota is renewed, and a little longer."""
        if known != self.known or self.closed is None:
            self._opens_at = known.until + timedelta(seconds=SPREAD * random())  # noqa: S311 - no secret
        self.known = known

    def open(self) -> None:
        self._opens_at = datetime.min.replace(tzinfo=UTC)


def read(limit: str | None, reset: str | None) -> UsedUp:
    """Read the headers of QStash's answer; where they say no time, the day ends at midnight UTC."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    try:
        until = datetime.fromtimestamp(int(reset or ""), UTC)
    except (ValueError, OverflowError, OSError):
        until = midnight
    if not now < until <= now + _LONGEST:
        until = midnight
    return UsedUp(until, int(limit) if limit and _COUNT.fullmatch(limit) else None)


def remember(gate: Gate) -> None:
    """Tell the other processes, and people, as far as the database can be reached."""
    if (known := gate.closed) is None:
        return
    said = {"until": known.until.timestamp(), "limit": known.limit}
    try:
        in_transaction(lambda tx: marks.note(tx, marks.QUOTA, said))
    except DatabaseUnavailable as error:
        log.warning("[jobs] Quota not noted", extra={"error": str(error)})


def used_up() -> UsedUp | None:
    """Return what QStash last said, if it holds still.

    Raises:
        DatabaseUnavailable: It cannot be told.
    """
    mark = in_transaction(lambda tx: marks.find(tx, marks.QUOTA))
    if mark is None:
        return None
    until = datetime.fromtimestamp(mark.details["until"], UTC)
    return UsedUp(until, mark.details["limit"]) if until > datetime.now(UTC) else None


def renewed() -> None:
    """Forget that it was used up: QStash takes messages."""
    in_transaction(lambda tx: marks.remove(tx, marks.QUOTA))


def follow(gate: Gate) -> None:
    """Have this process know what the others do; raises as `used_up` does."""
    known = used_up()
    if known is not None:
        gate.close(known)
    elif gate.is_known_to_last:  # and yet QStash takes messages, as another process found
        gate.open()
