"""What a schedule's firings keep to: whether they overlap, are spread, and are made up for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any, Literal, get_args

from ..durations import LONGEST_DELAY
from ..errors import InvalidOption, quoted
from . import cron as crons
from .nearest import hint
from .options import Duration, Options, parse_time

Overlap = Literal["allow", "skip", "queue"]
CatchUp = Literal["none", "last", "all"]

#: Firings of one schedule that wait at most for the run before them; more are skipped.
MOST_WAITING = 10
#: Missed firings of one schedule that are made up for at once; of more, the latest.
MOST_CAUGHT_UP = 100
#: How far back missed firings are looked for.
LONGEST_CAUGHT_UP = timedelta(days=7)
#: How many of the next firings are looked at for what is between two of them.
_LOOKED_AT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one schedule; times are in seconds.

    Attributes:
        overlap: What becomes of a firing while a run before it waits or runs.
        jitter: By how much a firing is put off at most.
        catch_up: Which of the firings that were missed are made up for.
        expires: How long after its moment a firing's job may begin; 0 is for ever.
        delay: How much later than its moment QStash delivers a firing.
    """

    overlap: Overlap = "allow"
    jitter: int = 0
    catch_up: CatchUp = "none"
    expires: int = 0
    delay: int = 0

    def __bool__(self) -> bool:
        """Whether there is any: a delay alone is QStash's."""
        return bool(
            self.overlap != "allow" or self.jitter or self.catch_up != "none" or self.expires
        )

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not as they are for all, by their names on the wire."""
        named = {
            "overlap": self.overlap if self.overlap != "allow" else None,
            "jitter": self.jitter,
            "catchUp": self.catch_up if self.catch_up != "none" else None,
            "expires": self.expires,
            "delay": self.delay,
        }
        return {name: value for name, value in named.items() if value}

    def put_off(self, schedule_id: str, scheduled_for: datetime) -> int:
        """Return by how many seconds a firing is put off: always the same for the same one."""
        if not self.jitter:
            return 0
        named = f"{schedule_id} {int(scheduled_for.timestamp())}"
        return int.from_bytes(sha256(named.encode()).digest()[:8]) % (self.jitter + 1)


def checked(
    cron: str,
    options: Options,
    *,
    overlap: str = "allow",
    jitter: Duration | None = None,
    catch_up: str = "none",
) -> Rules:
    """Return the rules of a schedule.

    Args:
        cron: Checked, as QStash takes it.
        options: Those of its messages; of them, `expires` is a rule.
        overlap: One of `Overlap`.
        jitter: A time.
        catch_up: One of `CatchUp`.

    Raises:
        InvalidOption: One is none, or does not go with another.
    """
    rules = Rules(
        overlap=_one_of("overlap", overlap, get_args(Overlap)),
        jitter=0 if jitter is None else parse_time("jitter", jitter),
        catch_up=_one_of("catch_up", catch_up, get_args(CatchUp)),
        expires=_expires(options.get("expires")),
    )
    _refuse_contradictions(rules, cron)
    if rules.jitter:
        _check_jitter(rules.jitter, cron)
    return rules


def check_beside(
    rules: Rules, job_type: str, options: Mapping[str, Any], *, is_external: bool
) -> Rules:
    """Check rules beside the type and the options of each message, and return them with the delay.

    Raises:
        InvalidOption: They do not go with these.
    """
    if rules and is_external:
        name = next(iter(rules.given)).replace("catchUp", "catch_up")
        raise InvalidOption(
            f"{name}: the worker of {job_type!r} is elsewhere, and QStash knows no such rule; leave"
            " it out"
        )
    if rules.jitter and "queue" in options:
        raise InvalidOption("jitter: QStash's queues know no delay; leave out jitter or queue")
    return replace(rules, delay=options.get("delay", 0))


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> Any:
    if not isinstance(value, str) or value not in known:
        raise InvalidOption(f"{name}: {quoted(value)} is none; {hint(str(value), list(known))}")
    return value


def _expires(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, datetime):
        raise InvalidOption(
            "expires: a schedule has many firings, and this is one moment; give how long after its"
            ' moment each may begin, such as "1h"'
        )
    seconds = parse_time("expires", value)
    if seconds > LONGEST_DELAY:
        raise InvalidOption(f"expires: {quoted(value)} is more than a year; leave it out")
    return seconds


def _refuse_contradictions(rules: Rules, cron: str) -> None:
    if rules.overlap == "skip" and rules.catch_up == "all":
        raise InvalidOption(
            'catch_up: with overlap="skip" all but one of them would be skipped; give "last", or'
            ' overlap="queue"'
        )
    if rules.catch_up != "none" and rules.expires:
        raise InvalidOption("catch_up: what is made up for comes late; leave out expires")
    if rules.catch_up != "none" and crons.is_interval(cron):
        raise InvalidOption(
            "catch_up: only QStash knows when an @every is due; give a cron of five fields"
        )


def _check_jitter(jitter: int, cron: str) -> None:
    """Refuse what would put a firing off beyond the next one."""
    runs = crons.next_runs(cron, _LOOKED_AT)
    gaps = [round(later.timestamp() - earlier.timestamp()) for earlier, later in pairwise(runs)]
    if gaps and jitter >= min(gaps):
        raise InvalidOption(
            f"jitter: {jitter} s are not less than the {min(gaps)} s between two firings; give less"
        )
