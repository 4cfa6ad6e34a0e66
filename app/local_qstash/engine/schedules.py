"""Schedules: messages published by the clock."""

import asyncio
import json
import logging
import sqlite3
from dataclasses import dataclass, replace

from ..clock import Clock
from ..errors import ApiError
from ..protocol.cron import check_fires, next_fire
from ..protocol.headers import Pair
from ..store.store import Store
from .intake import Draft, Intake, Order
from .timers import Timers
from .usage import check_number

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 1
_REPLACE = "INSERT OR REPLACE INTO schedules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OWN = frozenset({"upstash-cron", "upstash-schedule-id", "upstash-queue-name"})


@dataclass(slots=True, eq=False)
class Schedule:
    """A schedule as kept in memory and on disk; times in unix ms."""

    id: str
    destination: str
    cron: str
    pairs: tuple[Pair, ...]  # lower-case header names, as published
    body: bytes
    queue: str | None = None
    caller_ip: str | None = None
    paused: bool = False
    created_at: int = 0
    last_time: int | None = None
    next_simulated: int | None = None  # when it fires next, as the fast clock shows it
    error: str | None = None  # why the last firing published nothing

    def order(self) -> Order:
        pairs = tuple(pair for pair in self.pairs if pair[0] not in _OWN)
        return Order(self.destination, pairs, self.body, self.queue, self.id, self.caller_ip)


class Schedules:
    """The schedules of one server. Firings missed while it was down are not made up for."""

    def __init__(self, clock: Clock, timers: Timers, *, store: Store, intake: Intake) -> None:
        self._clock, self._timers = clock, timers
        self._store, self._intake = store, intake
        self._firing: set[asyncio.Task[None]] = set()
        self.schedules: dict[str, Schedule] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        for row in connection.execute("SELECT * FROM schedules"):
            fields = dict(row)
            pairs = tuple((name, value) for name, value in json.loads(fields.pop("headers")))
            fields["paused"] = bool(fields["paused"])
            self._arm(Schedule(**fields, pairs=pairs))

    async def save(self, schedule: Schedule) -> None:
        """Create a schedule, or replace the one with its id.

        Raises:
            ApiError: 400, when what it would publish is not valid; 412, when there are too many.
        """
        self._intake.draft(schedule.order())
        check_fires(schedule.cron, self._clock.simulated())
        elder = self.schedules.get(schedule.id)
        if elder is None:
            check_number("maxSchedules", len(self.schedules), self._intake.limits.schedules)
        schedule.created_at = elder.created_at if elder else self._clock.now()
        await self._write(schedule)
        self._arm(schedule)

    async def pause(self, schedule: Schedule, *, paused: bool) -> None:
        """Skip firings from now on, or fire again."""
        await self._write(replace(schedule, paused=paused))
        schedule.paused = paused

    async def delete(self, schedule_id: str) -> None:
        await self._store.run(
            lambda db: db.execute("DELETE FROM schedules WHERE id = ?", (schedule_id,))
        )
        self.schedules.pop(schedule_id, None)

    def next_time(self, schedule: Schedule) -> int | None:
        """Return the real unix millisecond of the next firing, None if there is none."""
        following = schedule.next_simulated
        return None if following is None else self._clock.real(following)

    async def stop(self) -> None:
        """Stop firing; what is being published is finished first."""
        await asyncio.gather(*self._firing, return_exceptions=True)

    def _arm(self, schedule: Schedule) -> None:
        self.schedules[schedule.id] = schedule
        after = max(self._clock.simulated(), schedule.next_simulated or 0)
        try:
            schedule.next_simulated = next_fire(schedule.cron, after)
        except ApiError as error:  # an older version took it
            schedule.error = str(error)
        moment = self.next_time(schedule)
        if moment is not None:
            self._timers.at(moment, lambda: self._due(schedule))

    def _due(self, schedule: Schedule) -> None:
        if self.schedules.get(schedule.id) is not schedule:
            return  # replaced or deleted meanwhile
        self._arm(schedule)
        if not schedule.paused:
            task = asyncio.get_running_loop().create_task(self._fire(schedule))
            self._firing.add(task)
            task.add_done_callback(self._firing.discard)

    async def _fire(self, schedule: Schedule) -> None:
        try:
            drafts = self._intake.draft(schedule.order())
            self._intake.usage.check_day()
        except ApiError as error:  # its URL group is gone, for example
            schedule.error = str(error)
            logger.warning("Schedule %s published nothing: %s", schedule.id, error)
            return
        # Before they are accepted: the states of the last firing are those of messages since then.
        fired_at = self._clock.now()
        await self._accept(drafts)
        schedule.error, schedule.last_time = None, fired_at
        row = (schedule.last_time, schedule.id)
        statement = "UPDATE schedules SET last_time = ? WHERE id = ?"
        self._store.soon().calls.append(lambda db: db.execute(statement, row))

    async def _accept(self, drafts: list[Draft]) -> None:
        while True:
            try:
                await self._intake.accept(drafts)
            except sqlite3.Error:
                logger.exception("Cannot write a scheduled message, trying again")
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _write(self, schedule: Schedule) -> None:
        row = (
            schedule.id,
            schedule.destination,
            schedule.cron,
            json.dumps(schedule.pairs),
            schedule.body,
            schedule.queue,
            schedule.caller_ip,
            schedule.paused,
            schedule.created_at,
            schedule.last_time,
        )
        await self._store.run(lambda db: db.execute(_REPLACE, row))
