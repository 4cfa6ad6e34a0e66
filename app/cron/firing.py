"""Finding the next firing: robfig/cron's walk, over the same clock changes in the same steps.

It looks for the first month that matches, then for a day in it, an hour, a minute, and starts over
whenever a step leads into the next larger unit. It follows the clock on the wall: a time in a
repeated hour fires twice, and a time that the clock skips does not fire that day.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .expression import Fields

_YEARS = 5
_NOON = 12
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of clocks on a wall


class Walk:
    """One search, from the second after `after`, in unix seconds."""

    def __init__(self, fields: "Fields", after: int) -> None:
        self._fields = fields
        self._now = after + 1
        self._moved = False  # whether the smaller units have been reset

    def run(self) -> int | None:
        """Return the moment in unix seconds, or None if there is none in five years."""
        try:
            last = self._wall.year + _YEARS
            while self._wall.year <= last:
                wrapped = self._to_month() or self._to_day() or self._to_hour()
                if not (wrapped or self._to_minute() or self._to_full_minute()):
                    return self._now
        except (OverflowError, ValueError):  # the end of the calendar
            pass
        return None

    @property
    def _wall(self) -> datetime:
        """The local time."""
        return datetime.fromtimestamp(self._now, self._fields.zone).replace(tzinfo=None)

    def _to_month(self) -> bool:
        """Go on to a month that matches; tell whether that led into another year."""
        while self._wall.month not in self._fields.months:
            self._begin(self._wall.replace(day=1, hour=0, minute=0, second=0))
            self._set(_month_later(self._wall))
            if self._wall.month == 1:
                return True
        return False

    def _to_day(self) -> bool:
        while not self._fields.fits_day(self._wall):
            self._begin(self._wall.replace(hour=0, minute=0, second=0))
            self._set(self._wall + timedelta(days=1))
            hour = self._wall.hour
            if hour:  # a day without a midnight
                self._now += (24 - hour if hour > _NOON else -hour) * 3600
            if self._wall.day == 1:
                return True
        return False

    def _to_hour(self) -> bool:
        while self._wall.hour not in self._fields.hours:
            self._begin(self._wall.replace(minute=0, second=0))
            self._now += 3600
            if self._wall.hour == 0:
                return True
        return False

    def _to_minute(self) -> bool:
        while self._wall.minute not in self._fields.minutes:
            if not self._moved:
                self._moved = True
                self._now -= self._now % 60
            self._now += 60
            if self._wall.minute == 0:
                return True
        return False

    def _to_full_minute(self) -> bool:
        seconds = self._wall.second
        if seconds:
            self._moved = True
            self._now += 60 - seconds
        return bool(seconds)

    def _begin(self, beginning: datetime) -> None:
        """Reset the smaller units, the first time that a larger one moves."""
        if not self._moved:
            self._moved = True
            self._set(beginning)

    def _set(self, wall: datetime) -> None:
        """Go to a local time, as Go does where it exists twice or not at all."""
        shown = (wall - _EPOCH) // timedelta(seconds=1)
        offset = self._offset(shown)
        self._now = shown - (self._offset(shown - offset) if offset else 0)

    def _offset(self, moment: int) -> int:
        offset = datetime.fromtimestamp(moment, self._fields.zone).utcoffset() or timedelta()
        return offset // timedelta(seconds=1)


def _month_later(wall: datetime) -> datetime:
    """Return the same day a month later; like Go, a missing day runs over into the next month."""
    year, month = (wall.year + 1, 1) if wall.month == 12 else (wall.year, wall.month + 1)  # noqa: PLR2004 - December
    return wall.replace(year=year, month=month, day=1) + timedelta(days=wall.day - 1)
