"""The days that a report covers, and their buckets for a time series."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

MAX_DAYS = 366
#: Years outside this range are taken for typing errors.
YEARS = range(1990, 2101)
# Beyond these, a chart would have too many points.
_MOST_DAYS, _MOST_WEEKS = 45, 26 * 7


class Step(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `start` to `end`, both included, in UTC."""

    start: date
    end: date

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def previous(self) -> "Period":
        """The equally long period that ends the day before."""
        return Period(self.start - timedelta(self.days), self.start - timedelta(1))

    @property
    def step(self) -> Step:
        if self.days <= _MOST_DAYS:
            return Step.DAY
        return Step.WEEK if self.days <= _MOST_WEEKS else Step.MONTH

    @property
    def buckets(self) -> list[date]:
        """The first day of each bucket; weeks count from `start`, months follow the calendar."""
        days = [self.start + timedelta(n) for n in range(self.days)]
        if self.step is Step.MONTH:
            return [day for day in days if day.day == 1 or day == self.start]
        return days[:: 7 if self.step is Step.WEEK else 1]

    @property
    def edges(self) -> list[datetime]:
        """The bounds of the previous period and of each bucket, for SQL's `width_bucket`.

        It returns 0 before the previous period, 1 within it, and 2 for the first bucket.
        """
        days = [self.previous.start, *self.buckets, self.end + timedelta(1)]
        return [datetime.combine(day, time(), UTC) for day in days]


def problems(start: date, end: date) -> dict[str, list[str]]:
    """Return what is wrong with a period, by the field's name in a payload."""
    fields = {"startDate": start, "endDate": end}
    odd = [name for name, day in fields.items() if day.year not in YEARS]
    if odd:
        return {name: [f"The year must be between {YEARS[0]} and {YEARS[-1]}."] for name in odd}
    if end < start:
        return {"endDate": [f"Must not be before startDate ({start})."]}
    days = Period(start, end).days
    if days > MAX_DAYS:
        return {"endDate": [f"The period has {days} days; a report covers at most {MAX_DAYS}."]}
    return {}
