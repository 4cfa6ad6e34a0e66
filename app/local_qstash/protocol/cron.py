"""Cron expressions in the server's own terms: unix milliseconds, and errors of QStash's shape."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from ...cron import CronError, NeverFiresError, Schedule, parse
from ..errors import bad_request

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)
def parse_cron(expression: str) -> Schedule:
    """Return the schedule of an expression such as `CRON_TZ=Europe/Paris 0 9 * * MON-FRI`.

    Raises:
        ApiError: 400, naming the part that is wrong.
    """
    try:
        return parse(expression)
    except CronError as error:
        raise _invalid(expression, error) from None


def check_fires(expression: str, after_ms: int) -> None:
    """Refuse an expression that would never fire: its schedule could only be a mistake.

    Raises:
        ApiError: 400, with the reason.
    """
    if next_fire(expression, after_ms) is None:
        raise _invalid(expression, NeverFiresError("it does not fire within the next five years"))


def next_fire(expression: str, after_ms: int) -> int | None:
    """Return the first unix millisecond after `after_ms` at which it fires, or None.

    Raises:
        ApiError: 400, naming the part that is wrong.
    """
    schedule = parse_cron(expression)
    try:
        moment = schedule.next(_EPOCH + timedelta(milliseconds=after_ms))
    except (NeverFiresError, OverflowError):  # the fast clock's end of the calendar
        return None
    return round(moment.timestamp() * 1000)


def _invalid(expression: str, error: CronError) -> Exception:
    return bad_request(f"Invalid cron expression {expression}: {error}")
