"""Cron expressions, checked before QStash sees them."""

from datetime import UTC, datetime
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
