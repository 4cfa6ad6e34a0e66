"""What a caller may ask of QStash for one job: checked here, kept on the row, sent as headers.

Each option is a header of QStash's publish API (https://upstash.com/docs/qstash/api/publish).
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, TypedDict

from app.jobs import destinations
from app.jobs.errors import InvalidOption
from app.jobs.nearest import hint
from app.jobs.registry import FlowControl, JobConfig

#: Seconds; QStash takes less, how much is up to the plan.
LONGEST = 10 * 365 * 24 * 60 * 60

Duration = int | float | timedelta | str


class Options(TypedDict, total=False):
    """The keyword options of `enqueue`.

    Attributes:
        delay: When to deliver: seconds, a timedelta, or a QStash duration such as "1m30s".
            (The TypeScript starter counts milliseconds.)
        not_before: When to deliver, as an aware datetime.
        retries: How often QStash delivers again after a failure.
        retry_delay: QStash's expression for the wait before a retry, in milliseconds, such as
            "1000 * (1 + retried)".
        timeout: How long one execution may take, as `delay`.
        callback: A URL that QStash tells every attempt's response; see `destinations`.
        failure_callback: A URL that QStash tells when it gives up.
        headers: Forwarded to the job's endpoint.
        queue: A QStash queue to deliver through, in order; it knows no delay and no flow control.
        flow_control: Limits shared by all messages with its key.
        label: One or several names to find the message by at QStash.
    """

    delay: Duration
    not_before: datetime
    retries: int
    retry_delay: str
    timeout: Duration
    callback: str
    failure_callback: str
    headers: Mapping[str, str]
    queue: str
    flow_control: FlowControl
    label: str | list[str]


_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_QUEUE_NAME = re.compile(r"[A-Za-z0-9._-]+")


def normalise(config: JobConfig, given: Options) -> dict[str, Any]:
    """Return the options as JSON values, with the job type's own as defaults.

    `delay` and `timeout` come back as whole seconds, `not_before` as ISO-8601.

    Raises:
        InvalidOption: An unknown option, a value that QStash would refuse, or a pair that excludes
            each other.
    """
    _refuse_unknown(given)
    defaults: dict[str, Any] = {
        "retries": config.retries,
        "timeout": config.timeout,
        "queue": config.queue,
        "flow_control": None if given.get("queue") or config.queue else config.flow_control,
    }
    asked = defaults | {name: value for name, value in given.items() if value is not None}
    asked = {name: value for name, value in asked.items() if value is not None}
    _refuse_contradictions(asked)
    return {name: _CHECKS[name](name, value) for name, value in asked.items()}


def seconds(name: str, value: Any) -> int:
    """Return a duration in whole seconds, rounded up: QStash counts no finer."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if not match or not value:
            raise InvalidOption(f'{name}: {value!r} is no duration; write it like "90s" or "1h30m"')
        days, hours, minutes, rest = (int(part or 0) for part in match.groups())
        value = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidOption(f"{name}: {value!r} is no duration; give seconds or a timedelta")
    if not 0 <= value < float("inf"):
        raise InvalidOption(f"{name}: {value!r} is not a time from now on; give 0 or more seconds")
    return ceil(value)


def available_at(options: Mapping[str, Any]) -> datetime | None:
    """Return when the job may be delivered at the earliest, where the options say so."""
    if "not_before" in options:
        return datetime.fromisoformat(options["not_before"])
    if options.get("delay"):
        return datetime.now(UTC) + timedelta(seconds=options["delay"])
    return None


def _refuse_unknown(given: Options) -> None:
    for name in given:
        if name not in _CHECKS:
            raise InvalidOption(f"unknown option {name!r}; {hint(name, _CHECKS)}")


def _refuse_contradictions(asked: Mapping[str, Any]) -> None:
    if "delay" in asked and "not_before" in asked:
        raise InvalidOption("delay and not_before: give one of them")
    if "queue" in asked:
        for name in ("delay", "not_before", "flow_control"):
            if name in asked:
                raise InvalidOption(
                    f"{name}: QStash's queues do not know it; leave out one of them"
                )


def _delay(name: str, value: Any) -> int:
    result = seconds(name, value)
    if result > LONGEST:
        raise InvalidOption(f"{name}: {value!r} is more than ten years")
    return result


def _timeout(name: str, value: Any) -> int:
    result = _delay(name, value)
    if result == 0:
        raise InvalidOption(f"{name}: must be at least one second")
    return result


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidOption(f"{name}: {value!r} is not a whole number of 0 or more")
    return value


def _moment(name: str, value: Any) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidOption(f"{name}: {value!r} is not an aware datetime; add a time zone")
    return value.isoformat()


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value or not _HEADER_VALUE.fullmatch(value):
        raise InvalidOption(f"{name}: {value!r} is not a line of printable ASCII")
    return value


def _url(name: str, value: Any) -> str:
    return destinations.check(name, _text(name, value))


def _headers(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidOption(f"{name}: {value!r} is not a mapping of names to values")
    for key, item in value.items():
        if not isinstance(key, str) or not _HEADER_NAME.fullmatch(key):
            raise InvalidOption(f"{name}: {key!r} is not a header name")
        if not isinstance(item, str) or not _HEADER_VALUE.fullmatch(item):
            raise InvalidOption(f"{name}.{key}: {item!r} is not a line of printable ASCII")
    return dict(value)


def _queue(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _QUEUE_NAME.fullmatch(value):
        raise InvalidOption(f"{name}: {value!r} may have only letters, digits, '-', '_' and '.'")
    return value


def _flow_control(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, FlowControl):
        raise InvalidOption(f"{name}: {value!r} is not a FlowControl")
    if value.rate is None and value.parallelism is None:
        raise InvalidOption(f"{name}: give a rate, a parallelism or both")
    return {key: item for key, item in asdict(value).items() if item is not None}


def _label(name: str, value: Any) -> str:
    labels = value if isinstance(value, list) else [value]
    return ",".join(_text(name, label) for label in labels)


_CHECKS = {
    "delay": _delay,
    "not_before": _moment,
    "retries": _count,
    "retry_delay": _text,
    "timeout": _timeout,
    "callback": _url,
    "failure_callback": _url,
    "headers": _headers,
    "queue": _queue,
    "flow_control": _flow_control,
    "label": _label,
}
