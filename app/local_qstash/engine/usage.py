"""What counts against a plan: accepted messages and retries by the day, requests by the second.

QStash counts each attempt to deliver: the first of a message here when it is accepted, the others
when they are made. A callback is a message as well. What is accepted is delivered, also beyond the
day's limit: only new messages are refused.
"""

import sqlite3
from collections import Counter
from math import ceil
from typing import Literal

from ..clock import Clock
from ..errors import QuotaError, no_room
from ..settings import Limits

Kind = Literal["published", "scheduled", "callbacks", "retries"]
KINDS: tuple[Kind, ...] = ("published", "scheduled", "callbacks", "retries")

_DAY = 86_400_000  # ms
_MESSAGES_SINCE = """
    SELECT count(*) FILTER (WHERE schedule_id IS NULL), count(schedule_id)
      FROM messages WHERE created_at >= ?
"""
_RETRIES_SINCE = "SELECT count(*) FROM events WHERE state = 'RETRY' AND time >= ?"


class Usage:
    """What one server counted, today and since its start; days pass as the clock shows them."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock, self._limits = clock, limits
        self._begin_day()
        self._second, self._requests = 0, 0
        self.total: Counter[str] = Counter()

    def load(self, connection: sqlite3.Connection) -> None:
        """Go on from what the state file says of today; a callback counts as published then."""
        if self._limits.messages_per_day is None:
            return
        since = self._ends - _DAY
        published, scheduled = connection.execute(_MESSAGES_SINCE, (since,)).fetchone()
        (retries,) = connection.execute(_RETRIES_SINCE, (since,)).fetchone()
        self.today.update(published=published, scheduled=scheduled, retries=retries)

    def count(self, kind: Kind, messages: int = 1) -> None:
        self._turn_day()
        self.today[kind] += messages
        self.total[kind] += messages

    @property
    def room(self) -> int | None:
        """How many messages may still be accepted today; None is any number."""
        limit = self._limits.messages_per_day
        self._turn_day()
        return None if limit is None else max(0, limit - self.today.total())

    @property
    def resets_at(self) -> int:
        """When the next day begins, in real Unix seconds."""
        self._turn_day()
        return ceil(self._clock.real(self._ends) / 1000)

    def check_day(self) -> None:
        """See that one more message may be accepted.

        Raises:
            QuotaError: Not before tomorrow.
        """
        if self.room == 0:
            raise self.used_up()

    def used_up(self) -> QuotaError:
        limit = self._limits.messages_per_day or 0
        said = f"quota maxMessagesPerDay exceeded: at most {limit}"
        return QuotaError(said, limit=limit, reset=self.resets_at)

    def check_burst(self) -> None:
        """Count a request that publishes nothing.

        Raises:
            QuotaError: There were too many within this second.
        """
        limit = self._limits.requests_per_second
        if limit is None:
            return
        second = self._clock.now() // 1000
        if second != self._second:
            self._second, self._requests = second, 0
        self._requests += 1
        if self._requests > limit:
            said = f"quota maxRequestsPerSecond exceeded: at most {limit}"
            raise QuotaError(said, limit=limit, reset=second + 1, prefix="Burst-")

    def _turn_day(self) -> None:
        if not self._ends - _DAY <= self._clock.simulated() < self._ends:
            self._begin_day()

    def _begin_day(self) -> None:
        now = self._clock.simulated()
        self._ends = now - now % _DAY + _DAY  # in Unix milliseconds: days of UTC have no seams
        self.today: Counter[str] = Counter()


def check_number(what: str, there: int, limit: int | None) -> None:
    """See that one more of something may be made.

    Raises:
        ApiError: 412, the plan has no more of them.
    """
    if limit is not None and there >= limit:
        raise no_room(what, limit)
