"""Limits of a job type for each organization, user or value of a payload field.

QStash keeps them, as flow control: every value has a key of its own, made here
(https://upstash.com/docs/qstash/features/flowcontrol).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from .. import durations
from ..errors import InvalidOption, quoted
from .nearest import hint
from .options import LONGEST_PERIOD

#: What of a job's owner can be limited; anything else is a field of the payload.
ORGANIZATION, USER = "organization", "user"

_RATE = re.compile(r"([0-9]{1,9})/([0-9]*)([smhd])")
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS = 32
_LARGEST = 2**31 - 1
#: A key has the type, what is limited and the value, and must not be longer than QStash takes.
_LONGEST_FIELD = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many deliveries may start in how many seconds."""

    count: int
    period: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The limits of a job type for each value of something.

    Attributes:
        per: "organization", "user", or the field of the payload by its name on the wire.
        parallelism: How many of a value's jobs may be delivered at once.
        rate: How many of them may start in a time.
    """

    per: str
    parallelism: int | None
    rate: Rate | None

    @property
    def is_of_owner(self) -> bool:
        return self.per in {ORGANIZATION, USER}

    def flow_control(self, job_type: str, value: object) -> dict[str, Any]:
        """Return what a message asks of QStash, as the options have it.

        Those without a value share a limit.
        """
        found: dict[str, Any] = {"key": f"{job_type}.{self.per}{_written(value)}"}
        if self.rate is not None:
            found |= {"rate": self.rate.count, "period": self.rate.period}
        if self.parallelism is not None:
            found["parallelism"] = self.parallelism
        return found


def parse_rate(name: str, value: Any) -> Rate:
    """Read a rate such as "10/s" or "100/5m".

    Raises:
        InvalidOption: It is none, or one that QStash cannot keep.
    """
    if isinstance(value, str) and re.fullmatch(r"[0-9]*\.[0-9]+/[0-9]*[smhd]", value):
        fix = "it counts whole jobs: write one in a longer time, such as '1/2s'"
        raise InvalidOption(f"{name}: {quoted(value)} cannot be kept by QStash; {fix}")
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        fix = "write how many may start in how long, such as '10/s', '100/m' or '5/30s'"
        raise InvalidOption(f"{name}: {quoted(value)} is not a rate; {fix}")
    count, period = int(match[1]), int(durations.parse(f"{match[2] or 1}{match[3]}"))
    if not 1 <= count <= _LARGEST or period < 1:
        fix = "at least one job in at least one second; to stop a type, pause it"
        raise InvalidOption(f"{name}: {quoted(value)} cannot be kept by QStash; give {fix}")
    if period > LONGEST_PERIOD:
        fix = "its longest period is a week: give the rate of a shorter one"
        raise InvalidOption(f"{name}: {quoted(value)} cannot be kept by QStash; {fix}")
    return Rate(count=count, period=period)


def parse_parallelism(name: str, value: Any) -> int:
    """Check how many may be delivered at once; raises `InvalidOption`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST:
        fix = f"give a whole number from 1 to {_LARGEST}; to stop a type, pause it"
        raise InvalidOption(f"{name}: {quoted(value)} cannot be kept by QStash; {fix}")
    return value


def limit_of(
    per: str | None, parallelism: int | None, rate: Rate | None, fields: Collection[str]
) -> Limit | None:
    """Return the limit that a job type declares.

    Args:
        per: As declared.
        parallelism: Likewise.
        rate: Likewise.
        fields: The names, on the wire, of the payload's fields that have one plain value.

    Raises:
        InvalidOption: Something is missing, or there is no such field.
    """
    if per is None:
        if parallelism is None and rate is None:
            return None
        given = "parallelism" if rate is None else "rate"
        raise InvalidOption(
            f"{given}: of what? Add per='organization', per='user' or a field of the payload; a "
            "limit of all jobs together is flow_control=FlowControl(key=…)"
        )
    if parallelism is None and rate is None:
        raise InvalidOption("per: add parallelism=5, rate='10/s' or both, which it is to limit")
    if per not in {ORGANIZATION, USER} and per not in fields:
        known = [ORGANIZATION, USER, *fields]
        raise InvalidOption(
            f"per: {quoted(per)} is neither an owner nor a field of the payload that has one plain "
            f"value and is not sealed; {hint(str(per), known)}"
        )
    if len(per) > _LONGEST_FIELD or not per.isascii():
        fix = f"limit by one of at most {_LONGEST_FIELD} characters of ASCII"
        raise InvalidOption(f"per: {quoted(per)} cannot be part of a QStash key; {fix}")
    return Limit(per=per, parallelism=parallelism, rate=rate)


def _written(value: object) -> str:
    """Return a value as the end of a key; what QStash might not take, or is long, as a hash."""
    if value is None:
        return ""
    text = str(value)
    if _PLAIN.fullmatch(text):
        return f".{text}"
    return f".{sha256(text.encode(errors='surrogatepass')).hexdigest()[:_DIGITS]}"
