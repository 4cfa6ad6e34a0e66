"""What a caller may ask of QStash for one job: checked here, kept on the row, sent as headers.

Each option is a header of QStash's publish API (https://upstash.com/docs/qstash/api/publish).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, TypedDict

from .. import durations
from ..errors import InvalidOption, quoted
from . import backoff, callback_urls
from .backoff import RetryDelay
from .meant import MEANT
from .nearest import hint
from .urls import ascii_url

#: How long ago `not_before` may be: a moment that just passed means "at once", one of another
#: century is a mistake, and one at the edge of the calendar cannot be read back from the database.
OLDEST = timedelta(days=365)

#: What QStash's largest published plan takes (https://upstash.com/pricing/qstash): it refuses more
#: retries, and waits no longer for an answer.
LONGEST_TIMEOUT = 2 * 60 * 60
MOST_RETRIES = 100
LONGEST_PERIOD = 7 * 24 * 60 * 60

LONGEST_URL = 2048
LONGEST_NAME = 256
#: What the HTTP server of a delivery has room for, beside the headers that QStash adds.
MOST_HEADERS = 50
LONGEST_HEADER = 4096
LONGEST_HEADERS = 16 * 1024

Duration = int | float | timedelta | str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowControl:
    """How fast QStash may deliver the messages that share `key`.

    Attributes:
        rate: Deliveries started per `period`.
        period: A time: seconds, a timedelta, or a text such as "1m"; QStash counts whole seconds.
        parallelism: Deliveries under way at once.
    """

    key: str
    rate: int | None = None
    period: "Duration | None" = None
    parallelism: int | None = None


class Options(TypedDict, total=False):
    """The keyword options of `enqueue`.

    Attributes:
        delay: When to deliver: seconds, a timedelta, or a QStash duration such as "1m30s".
            (The TypeScript starter counts milliseconds.)
        not_before: When to deliver, as an aware datetime, or in seconds since 1970 as QStash's
            own SDK takes it.
        retries: How often QStash delivers again after a failure.
        retry_delay: How long to wait before a retry: a time, as `delay`; QStash's expression, in
            milliseconds, such as "1000 * (1 + retried)"; or a function from the attempt that
            failed (1, 2, …) to a time.
        timeout: How long one execution may take, as `delay`.
        callback: A URL that QStash tells every attempt's response; see `callback_urls`.
        failure_callback: A URL that QStash tells when it gives up.
        headers: Forwarded to the job's endpoint.
        queue: A QStash queue to deliver through, in order; it knows no delay and no flow control.
        flow_control: Limits shared by all messages with its key.
        label: One or several names to find the message by at QStash.
        expires: Until when the job may begin, as an aware datetime, or as `delay` from now on. What
            is delivered later ends as cancelled, with the outcome `expired`, and does not run.
    """

    delay: Duration
    not_before: datetime | int
    retries: int
    retry_delay: RetryDelay
    timeout: Duration
    callback: str
    failure_callback: str
    headers: Mapping[str, str]
    queue: str
    flow_control: FlowControl
    label: str | list[str]
    expires: Duration | datetime


#: Arguments of whatever takes options as well.
OWNER = ("user_id", "organization_id")

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_QUEUE_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{LONGEST_NAME}}}")
_KEY = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_NAME}}}")
# A delivery sets these itself: those of its connection, and those that QStash adds.
_NOT_FORWARDED = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "user-agent"}
)


def normalise(defaults: Mapping[str, Any], given: Options) -> dict[str, Any]:
    """Return the options as JSON values, with the job type's own as defaults.

    `delay` and `timeout` come back as whole seconds, `not_before` as ISO-8601.

    Raises:
        InvalidOption: An unknown option, a value that QStash would refuse, or a pair that excludes
            each other.
    """
    _refuse_unknown(given)
    asked = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    asked = {name: value for name, value in asked.items() if value is not None}
    if "queue" in asked and given.get("flow_control") is None:
        asked.pop("flow_control", None)  # the type's own, which a queue does without
    _refuse_contradictions(asked)
    checked: dict[str, Any] = {name: _CHECKS[name](name, value) for name, value in asked.items()}
    _refuse_early_end(checked)
    if "retry_delay" in checked:
        checked["retry_delay"] = backoff.expression(checked["retry_delay"], checked["retries"])
    return checked


def for_schedule(given: Options) -> Options:
    """Return the options of each message of a schedule: all but `expires`, which is a rule.

    Raises:
        InvalidOption: One cannot hold for each firing.
    """
    if given.get("not_before") is not None:
        raise InvalidOption("not_before: not for schedules, whose cron says when; leave it out")
    rest = given.copy()
    rest.pop("expires", None)
    return rest


def parse_duration(name: str, value: Any) -> int:
    """Return a duration in whole seconds, rounded up: QStash counts no finer."""
    return _rounded_up(name, value, durations.parse)


def parse_time(name: str, value: Any) -> int:
    """Do the same for a time that something may take, and so has to be one."""
    return _rounded_up(name, value, durations.parse_some)


def parse_written_duration(name: str, text: str) -> int:
    """Do the same for text in which a number alone is seconds, too: a command's, a query's."""
    return _rounded_up(name, text, durations.parse_written)


def _refuse_unknown(given: Options) -> None:
    for name in given:
        if name not in _CHECKS:
            known = [*_CHECKS, *(one for one in OWNER if one != name)]
            raise InvalidOption(f"unknown option {name!r}; {hint(name, known, MEANT)}")


def _refuse_contradictions(asked: Mapping[str, Any]) -> None:
    if "delay" in asked and "not_before" in asked:
        raise InvalidOption("delay and not_before: give only one of them")
    if "queue" in asked:
        for name in ("delay", "not_before", "flow_control"):
            if name in asked:
                raise InvalidOption(
                    f"{name}: QStash's queues do not support it; leave out one of them"
                )


def _delay(name: str, value: Any) -> int:
    return _rounded_up(name, value, durations.parse_delay)


def _rounded_up(name: str, value: Any, parse: Callable[[Any], float]) -> int:
    try:
        return ceil(parse(value))
    except ValueError as error:
        raise InvalidOption(f"{name}: {quoted(value)} {error}") from None


def _timeout(name: str, value: Any) -> int:
    result = parse_time(name, value)
    if result > LONGEST_TIMEOUT:
        raise InvalidOption(
            f"{name}: {quoted(value)} is more than the two hours that QStash waits for an answer; "
            "let a longer job go on with `Continue`"
        )
    return result


def _retries(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidOption(f"{name}: {quoted(value)} is not a whole number of 0 or more")
    if value > MOST_RETRIES:
        said = f"{quoted(value)} is more than QStash takes"
        raise InvalidOption(f"{name}: {said}; give {MOST_RETRIES} at most")
    return value


def _retry_delay(name: str, value: Any) -> RetryDelay:
    if callable(value) or backoff.is_time(value):
        given: RetryDelay = value
        return given
    return _text(name, value)


def _not_before(name: str, value: Any) -> str:
    """Take a moment, also as seconds since 1970, but none that QStash would refuse.

    One at the edge of the calendar could not even be read back from the database.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            value = datetime.fromtimestamp(value, UTC)
        except (ArithmeticError, OSError, ValueError):
            said = f"{quoted(value)} is beyond the calendar"
            raise InvalidOption(f"{name}: {said}; give seconds since 1970") from None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidOption(f"{name}: {value!r} is not an aware datetime; add a time zone")
    now, written = datetime.now(UTC), value.isoformat()
    if value - now > timedelta(seconds=durations.LONGEST_DELAY):
        raise InvalidOption(f"{name}: {written} is more than a year away, which QStash rejects")
    if now - value > OLDEST:
        raise InvalidOption(f"{name}: {written} is more than a year ago")
    return written


def _expires(name: str, value: Any) -> str:
    """Return the moment, as ISO-8601 in UTC."""
    now = datetime.now(UTC)
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidOption(f"{name}: {value!r} is not an aware datetime; add a time zone")
        if value <= now:
            raise InvalidOption(f"{name}: {value.isoformat()} is over; the job would never run")
        moment = value.astimezone(UTC)
    else:
        seconds = _rounded_up(name, value, durations.parse_some)
        moment = now + timedelta(seconds=min(seconds, 2 * durations.LONGEST_DELAY))
    if moment - now > timedelta(seconds=durations.LONGEST_DELAY):
        raise InvalidOption(f"{name}: {quoted(value)} is more than a year away; leave it out")
    return moment.isoformat()


def _refuse_early_end(checked: Mapping[str, Any]) -> None:
    """Refuse an end that comes before the job may be delivered at all."""
    if "expires" not in checked:
        return
    end, now = datetime.fromisoformat(checked["expires"]), datetime.now(UTC)
    begins = now + timedelta(seconds=checked.get("delay", 0))
    if "not_before" in checked:
        begins = datetime.fromisoformat(checked["not_before"])
    if end <= begins:
        name = "not_before" if "not_before" in checked else "delay"
        raise InvalidOption(f"expires: is not later than {name}; the job would never run")


def _text(name: str, value: Any, longest: int = LONGEST_HEADER) -> str:
    if not isinstance(value, str) or not value.strip() or not _HEADER_VALUE.fullmatch(value):
        raise InvalidOption(f"{name}: {quoted(value)} is not a line of printable ASCII")
    if len(value) > longest:
        raise InvalidOption(f"{name}: has {len(value):,} characters; {longest:,} may be")
    return value


def _url(name: str, value: Any) -> str:
    if isinstance(value, str) and not value.isascii():
        raise InvalidOption(f"{name}: {quoted(value)} is not ASCII{_in_ascii(value)}")
    return callback_urls.check_url(name, _text(name, value, LONGEST_URL))


def _in_ascii(url: str) -> str:
    try:
        return f"; write it {ascii_url(url)}"
    except ValueError:
        return ""


def _headers(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidOption(f"{name}: {quoted(value)} is not a mapping of names to values")
    for key, item in value.items():
        if not isinstance(key, str) or not _HEADER_NAME.fullmatch(key) or len(key) > LONGEST_NAME:
            raise InvalidOption(f"{name}: {quoted(key)} is not a header name")
        if key.lower() in _NOT_FORWARDED or key.lower().startswith("upstash-"):
            raise InvalidOption(f"{name}: {key} is set by the delivery; leave it out")
        if not isinstance(item, str) or not _HEADER_VALUE.fullmatch(item):
            raise InvalidOption(f"{name}.{key}: {quoted(item)} is not a line of printable ASCII")
        if len(item) > LONGEST_HEADER:
            raise InvalidOption(f"{name}.{key}: has more than {LONGEST_HEADER:,} characters")
    size = sum(len(key) + len(item) for key, item in value.items())
    if len(value) > MOST_HEADERS or size > LONGEST_HEADERS:
        raise InvalidOption(
            f"{name}: more than {MOST_HEADERS} headers, or {LONGEST_HEADERS:,} characters in all; "
            "put large values into the payload"
        )
    return dict(value)


def _queue(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _QUEUE_NAME.fullmatch(value):
        said = f"{quoted(value)} is not 1 to {LONGEST_NAME} letters, digits, '-', '_' and '.'"
        raise InvalidOption(f"{name}: {said}")
    return value


def _flow_control(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, FlowControl):
        raise InvalidOption(f"{name}: {quoted(value)} is not a FlowControl")
    if not isinstance(value.key, str) or not _KEY.fullmatch(value.key):
        said = f"{quoted(value.key)} is not 1 to {LONGEST_NAME} characters of ASCII without spaces"
        raise InvalidOption(f"{name}: key {said}")
    if value.rate is None and value.parallelism is None:
        raise InvalidOption(f"{name}: give a rate, a parallelism or both")
    given = {key: item for key, item in asdict(value).items() if item is not None}
    if "period" in given:
        given["period"] = parse_duration(f"{name}: period", given["period"])
    largest = {"rate": 2**31 - 1, "parallelism": 2**31 - 1, "period": LONGEST_PERIOD}
    for part, most in largest.items():
        item = given.get(part, 1)
        if type(item) is not int or not 1 <= item <= most:
            raise InvalidOption(f"{name}: {part} {quoted(item)} is not a whole number 1 to {most}")
    return given


def _label(name: str, value: Any) -> str:
    labels = value if isinstance(value, list) and value else [value]
    return _text(name, ",".join(_text(name, label, LONGEST_NAME) for label in labels))


_CHECKS = {
    "delay": _delay,
    "not_before": _not_before,
    "retries": _retries,
    "retry_delay": _retry_delay,
    "timeout": _timeout,
    "callback": _url,
    "failure_callback": _url,
    "headers": _headers,
    "queue": _queue,
    "flow_control": _flow_control,
    "label": _label,
    "expires": _expires,
}
