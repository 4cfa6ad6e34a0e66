"""The options of a job type: what they mean, and what each must be."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from . import middleware
from .errors import DiscoveryError, InvalidOption, quoted
from .middleware import Middleware
from .registry import Upgrade
from .values import options as publishing
from .values.backoff import RetryDelay
from .values.limits import parse_parallelism, parse_rate
from .values.meant import MEANT
from .values.nearest import hint
from .values.options import Duration
from .values.retention import Retention, check_retention
from .values.tags import check_tags
from .values.unique import Unique


class ExternalOptions(TypedDict, total=False):
    """How jobs of a type are delivered whose worker is elsewhere; see `JobOptions`."""

    retries: int
    retry_delay: RetryDelay
    timeout: Duration
    description: str
    queue: str
    tags: Sequence[str]
    retention: Mapping[str, Duration]
    per: str
    parallelism: int
    rate: str


class JobOptions(ExternalOptions, total=False):
    """How a job type is run.

    Attributes:
        retries: How often QStash delivers again after a failure; 3 by default.
        retry_delay: How long QStash waits before a retry, unless `enqueue` says otherwise: a time
            as for `timeout`; its expression, in milliseconds, such as "1000 * pow(2, retried)"; or
            a function from the attempt that failed (1, 2, …) to a time.
        timeout: How long one execution may take: seconds, a timedelta, or a text such as "5m"; 60
            seconds by default.
        heartbeat: The time, as `timeout`, within which the handler promises to call
            `job.progress()` or `job.check()`. The lease is then that long, and extended up to the
            timeout.
        acts_outside: The handler has effects that no transaction takes back and no idempotency key
            guards: each claim is on the database's disk before it starts, at the price of a wait.
        unwatched: `health` leaves its jobs out of its judgement: for jobs that watch the others.
        forgets_empty: A schedule's firing leaves no row if its first attempt returns None or {}.
        description: One line for `flask jobs types`.
        queue: A QStash queue to deliver through, in order.
        tags: Those of its jobs, where `enqueue` is given none; a metric names them.
        retention: For how long its jobs are kept once they have ended, by how: "completed",
            "cancelled" or "dead" to a time as for `timeout`; of others JOBS_RETENTION says it.
        per: What `parallelism` and `rate` limit: the jobs of each "organization", each "user", or
            each value of a field of the payload. QStash keeps the limits, by flow-control keys of
            our own. Those without a value share one.
        parallelism: How many of those may be delivered at once.
        rate: How many of those may start in a time, such as "10/s", "100/m" or "5/30s".
        sealed: Fields of the payload that are encrypted on the wire and in the row, as dotted
            camel-case paths such as "data.resetUrl"; through a list, the field of each item.
        version: Of the payload. Raise it when the schema no longer takes what is queued.
        upgrades: From each older version to the next: `{1: from_v1_to_v2}`, functions from
            one wire form to the other.
        adapt: From the wire form of another producer to ours. Asked for a payload that does not
            fit, on delivery of a job that this app did not enqueue.
        unique: A `Unique`: one job is enough of those with the same values of some fields.
        middleware: Functions `(payload, job, proceed)` that wrap the handler, the first outermost,
            within those of the app.
    """

    heartbeat: Duration
    acts_outside: bool
    unwatched: bool
    forgets_empty: bool
    sealed: tuple[str, ...]
    version: int
    upgrades: Mapping[int, Upgrade]
    adapt: Upgrade
    unique: Unique
    middleware: Sequence[Middleware]


def check_options(about: str, given: Mapping[str, Any], known: type) -> dict[str, Any]:
    """Return the options as `JobConfig` takes them; what QStash makes of them, that checks.

    Args:
        about: Of what they are, for the error.
        given: By their names; None is not given.
        known: The `TypedDict` that lists them.

    Raises:
        DiscoveryError: One is unknown, or of a wrong type.
    """
    try:
        for name in given:
            _refuse_unknown(name, known)
        return {name: _option(name, value) for name, value in given.items() if value is not None}
    except (InvalidOption, ValueError) as error:
        raise DiscoveryError(f"{about}: {error}") from None


def _refuse_unknown(name: str, known: type) -> None:
    if name in known.__annotations__:
        return
    if name in (*publishing.Options.__annotations__, *publishing.OWNER):
        raise ValueError(f"{name} is not an option of a job type; pass it to `enqueue`")
    names = [*known.__annotations__, "payload", "flow_control"]
    raise ValueError(f"unknown option {name!r}; {hint(name, names, MEANT)}")


def _option(name: str, value: Any) -> Any:
    check = _CHECKS.get(name)
    return value if check is None else check(name, value)


def _time(name: str, value: Any) -> int:
    return publishing.parse_time(name, value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {quoted(value)} is not True or False")  # noqa: TRY004 - as all here
    return value


def _line(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: {quoted(value)} is not a text")  # noqa: TRY004 - as all here
    return value


def _paths(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, tuple | list) or not all(isinstance(path, str) for path in value):
        fix = f"; write ({value!r},)" if isinstance(value, str) else ""
        raise ValueError(f"{name}: {quoted(value)} is not a tuple of the payload's fields{fix}")
    return tuple(value)


def _retention(name: str, value: Any) -> Retention:
    try:
        return check_retention(value)
    except ValueError as error:
        raise ValueError(f"{name}: {quoted(value)} {error}") from None


def _version(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: {quoted(value)} is not a whole number of 1 or more")
    return value


def _upgrades(name: str, value: Any) -> Mapping[int, Upgrade]:
    if not isinstance(value, Mapping) or not all(map(callable, value.values())):
        raise ValueError(f"{name}: {quoted(value)} is not a dict from versions to functions")
    return value


def _function(name: str, value: Any) -> Upgrade:
    if not callable(value):
        raise ValueError(f"{name}: {quoted(value)} is not a function")  # noqa: TRY004 - as all here
    function: Upgrade = value
    return function


def _unique(name: str, value: Any) -> Unique:
    if not isinstance(value, Unique):
        raise ValueError(f"{name}: {quoted(value)} is not a Unique; write Unique(fields=…)")  # noqa: TRY004 - as all here
    return value


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "timeout": _time,
    "heartbeat": _time,
    "acts_outside": _flag,
    "unwatched": _flag,
    "forgets_empty": _flag,
    "description": _line,
    "per": _line,
    "parallelism": parse_parallelism,
    "rate": parse_rate,
    "tags": check_tags,
    "retention": _retention,
    "sealed": _paths,
    "version": _version,
    "upgrades": _upgrades,
    "adapt": _function,
    "unique": _unique,
    "middleware": middleware.check,
}
