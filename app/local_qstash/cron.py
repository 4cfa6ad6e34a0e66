"""Cron expressions as QStash takes them: five fields, optionally with a time zone before them."""

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from .errors import bad_request

_FIELDS = 5
# A last or nth weekday, and 7 for Sunday (but not as a step).
_FOREIGN_WEEKDAY = re.compile(r"#|\dL|(?<!/)7")


@lru_cache(maxsize=1024)
def parse_cron(expression: str) -> tuple[str, tzinfo]:
    """Return the fields and the zone of `CRON_TZ=Europe/Paris 0 9 * * MON-FRI` and its like.

    Raises:
        ApiError: 400, saying which part is wrong.
    """
    fields, zone = _split_zone(expression)
    if len(fields) != _FIELDS:
        raise _invalid(expression, f"expected {_FIELDS} fields, found {len(fields)}")
    # robfig/cron, which QStash runs, reads ? as * and knows none of cronsim's L, W and #.
    fields = ["*" + field[1:] if field.startswith("?") else field for field in fields]
    if fields[2].upper().endswith(("L", "LW")):
        raise _invalid(expression, f"Bad day-of-month: {fields[2]}")
    if _FOREIGN_WEEKDAY.search(fields[4].upper()):
        raise _invalid(expression, f"Bad day-of-week: {fields[4]}")
    text = " ".join(fields)
    try:
        next(CronSim(text, datetime.now(UTC)))
    except CronSimError as error:
        raise _invalid(expression, str(error)) from None
    except StopIteration:
        raise _invalid(expression, "it never fires") from None
    return text, zone


def next_fire(expression: str, after_ms: int) -> int:
    """Return the first unix millisecond after `after_ms` at which the expression fires."""
    fields, zone = parse_cron(expression)
    start = datetime.fromtimestamp(after_ms / 1000, zone)
    return round(next(CronSim(fields, start)).timestamp() * 1000)


def _split_zone(expression: str) -> tuple[list[str], tzinfo]:
    fields = expression.split()
    if not fields or not fields[0].startswith(("CRON_TZ=", "TZ=")):
        return fields, UTC
    name = fields[0].partition("=")[2]
    try:
        return fields[1:], ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a folder of the zone database, malformed
        raise _invalid(expression, f"unknown time zone {name!r}") from None


def _invalid(expression: str, reason: str) -> Exception:
    shown = expression if expression.strip() else "empty spec string"
    return bad_request(f"Invalid cron expression {shown}: {reason}")
