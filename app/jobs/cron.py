"""Cron expressions, checked before QStash sees them."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from app.jobs.errors import InvalidOption

FIELDS = 5


def checked(cron: str, timezone: str | None) -> str:
    """Return the expression as QStash takes it, with its time zone as `CRON_TZ=…` in front.

    Args:
        cron: Five fields: minute, hour, day of month, month, day of week.
        timezone: An IANA name such as "Europe/Berlin"; UTC where None.

    Raises:
        InvalidOption: The message names the bad field.
    """
    if len(cron.split()) != FIELDS:
        raise InvalidOption(
            f"cron: {cron!r} has {len(cron.split())} fields; it takes five: minute, hour, "
            "day of month, month, day of week"
        )
    try:
        CronSim(cron, datetime.now(UTC))
    except CronSimError as error:
        raise InvalidOption(f"cron: {str(error).lower()} in {cron!r}") from error
    if timezone is None:
        return cron
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidOption(f'timezone: no zone is called {timezone!r}; try "UTC"') from error
    return f"CRON_TZ={timezone} {cron}"


def explain(cron: str) -> str:
    """Say in words when a schedule fires, as it is if it is none of ours: `At 03:00 every day`."""
    expression, timezone = _parted(cron)
    try:
        words = CronSim(expression, datetime.now(UTC)).explain()
    except CronSimError:
        return cron
    return words if timezone == "UTC" else f"{words}, {timezone}"


def next_runs(cron: str, count: int) -> list[datetime]:
    """Return when a schedule fires next, in its own time zone; none if it is none of ours."""
    expression, timezone = _parted(cron)
    try:
        runs = CronSim(expression, datetime.now(ZoneInfo(timezone)))
    except (CronSimError, ZoneInfoNotFoundError, ValueError):
        return []
    return list(islice(runs, count))


def next_after(cron: str, moment: datetime) -> datetime | None:
    """Return when a schedule fires next after a moment; None if it is none of ours, or never."""
    expression, timezone = _parted(cron)
    try:
        return next(CronSim(expression, moment.astimezone(ZoneInfo(timezone))))
    except (CronSimError, StopIteration, ZoneInfoNotFoundError, ValueError):
        return None


def _parted(cron: str) -> tuple[str, str]:
    """Part an expression of QStash's from its time zone."""
    if not cron.startswith("CRON_TZ="):
        return cron, "UTC"
    timezone, _, expression = cron.removeprefix("CRON_TZ=").partition(" ")
    return expression, timezone
