"""Schedules in words."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from .expression import Every, Fields, Schedule


def in_words(schedule: Schedule) -> str:
    """Return when it fires: `At 03:00 every day`; its fields if words would be wrong."""
    if isinstance(schedule, Every):
        return f"Every {schedule.text.removeprefix('@every ')}"
    text = " ".join(_plain(part) for part in schedule.text.split())
    try:
        told = CronSim(text, datetime.now(UTC))
    except CronSimError:
        return schedule.text
    return told.explain() if _is_the_same(told, schedule) else schedule.text


def _plain(field: str) -> str:
    """Return a field in the syntax that cronsim knows."""
    parts = [part for part in field.split(",") if part]
    return ",".join("*" + part[1:] if part.startswith("?") else part for part in parts)


def _is_the_same(told: CronSim, schedule: Fields) -> bool:
    """Tell whether cronsim, which has another dialect, reads the fields as we do."""
    return (
        told.minutes == schedule.minutes
        and told.hours == schedule.hours
        and told.days == schedule.days
        and told.months == schedule.months
        and {day % 7 for day in told.weekdays if isinstance(day, int)} == schedule.weekdays
        and (told.day_and == schedule.both_days or _is_free(schedule))
    )


def _is_free(schedule: Fields) -> bool:
    """Tell whether it makes no difference if one of the days or both must match."""
    return len(schedule.weekdays) == 7 and len(schedule.days) == 31  # noqa: PLR2004 - all
