"""Cron expressions, checked before QStash sees them, and foretold as it will fire."""

from datetime import UTC, datetime, timedelta

from ...cron import CronError, Every, NeverFiresError, in_words, parse
from ..errors import InvalidOption, quoted

FIELDS = 5
#: How far back the last firing is looked for, one after the other: most are found by the first.
_BACK = tuple(
    timedelta(minutes=minutes)
    for minutes in (2, 61, 24 * 60 + 61, 8 * 24 * 60, 63 * 24 * 60, 5 * 366 * 24 * 60)
)


def checked(cron: str, timezone: str | None) -> str:
    """Return the expression as QStash takes it, with its time zone as `CRON_TZ=…` in front.

    Args:
        cron: Five fields: minute, hour, day of month, month, day of week; or `@daily` and its like.
        timezone: An IANA name such as "Europe/Berlin"; UTC where None.

    Raises:
        InvalidOption: The message names the bad field.
    """
    if not isinstance(cron, str):
        raise InvalidOption(f"cron: {quoted(cron)} is not a text; write it like '0 9 * * *'")
    if not isinstance(timezone, str | None):
        raise InvalidOption(f"timezone: {quoted(timezone)} is not a name; write 'Europe/Berlin'")
    if timezone is None:
        _check(cron, cron)
        return cron
    if cron.startswith(("CRON_TZ=", "TZ=")):
        raise InvalidOption(f"timezone: {cron!r} already names a time zone; give only one")
    zoned = f"CRON_TZ={timezone} {cron}"
    if not timezone or timezone == "Local" or " " in timezone or not _is_zone(timezone):
        raise InvalidOption(f'timezone: unknown time zone {timezone!r}; try "UTC"')
    _check(zoned, cron)
    return zoned


def explain(cron: str) -> str:
    """Say in words when a schedule fires, as it is if it is none of ours: `At 03:00 every day`."""
    try:
        schedule = parse(cron)
    except CronError:
        return cron
    words = in_words(schedule)
    return words if schedule.zone is UTC else f"{words}, {schedule.zone}"


def next_runs(cron: str, count: int, after: datetime | None = None) -> list[datetime]:
    """Return when a schedule fires next, in its own time zone; none if it is none of ours."""
    found = [after or datetime.now(UTC)]
    try:
        schedule = parse(cron)
        while len(found) <= count:
            found.append(schedule.next(found[-1]))
    except CronError:  # it cannot be read, or does not fire again
        pass
    return found[1:]


def next_after(cron: str, moment: datetime) -> datetime | None:
    """Return when a schedule fires next after a moment; None if it is none of ours, or never."""
    return next(iter(next_runs(cron, 1, moment)), None)


def is_interval(cron: str) -> bool:
    """Tell whether an expression names no moments but a time between two (`@every`)."""
    try:
        return isinstance(parse(cron), Every)
    except CronError:
        return False


def due_between(cron: str, after: datetime, until: datetime) -> list[datetime]:
    """Return when a schedule was due after one moment and up to another, in UTC.

    None if it is none of ours, or an `@every`, of which only QStash knows.
    """
    found: list[datetime] = []
    try:
        schedule = parse(cron)
        if isinstance(schedule, Every):
            return []
        while (due := schedule.next(found[-1] if found else after)) <= until:
            found.append(due.astimezone(UTC))
    except CronError:
        pass
    return found


def last_before(cron: str, moment: datetime) -> datetime | None:
    """Return the last moment up to this one at which a schedule was due, in UTC.

    Of an `@every` it is this one, to the second; None if it is none of ours.
    """
    if is_interval(cron):
        return moment.astimezone(UTC).replace(microsecond=0)
    for back in _BACK:
        if found := due_between(cron, moment - back, moment):
            return found[-1]
    return None


def _check(cron: str, written: str) -> None:
    count = len(written.split())
    if count != FIELDS and not written.startswith(("@", "CRON_TZ=", "TZ=")):
        raise InvalidOption(
            f"cron: {written!r} has {count} fields; it takes five: minute, hour, day of month, "
            "month, day of week"
        )
    try:
        parse(cron).next(datetime.now(UTC))
    except NeverFiresError as error:
        reason = str(error).removeprefix("it ")
        raise InvalidOption(f"cron: {written!r} {reason}; write one that does") from error
    except CronError as error:
        reason = str(error)
        raise InvalidOption(
            f"cron: {reason[0].lower()}{reason[1:]} in {written!r}; ask `flask qstash next`"
        ) from error


def _is_zone(timezone: str) -> bool:
    try:
        parse(f"CRON_TZ={timezone} * * * * *")
    except CronError:
        return False
    return True
