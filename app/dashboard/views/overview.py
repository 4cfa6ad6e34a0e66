"""How the jobs are, and what needs somebody's attention."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ...jobs import JobsError
from ...jobs.operate import (
    Health,
    HealthStatus,
    Step,
    count_jobs,
    dlq,
    health,
    schedules,
    stats,
    throughput,
    usage,
)
from .. import access, charts, formatting, states
from ..cached import cached, computed_beside
from ..rendering import link, page
from ..screens import Screen

screen = Screen("overview", "Overview")

#: Seconds for which the counts and the verdict are the same for everybody: about as many as between
#: two refreshes of the page, so that many who look at it ask the database as often as one.
FRESH = 4.5
#: Seconds for which is known what QStash says: asking it costs a request.
FRESH_AT_QSTASH = 60.0
#: Among how many dead letters is looked for deliveries that found nothing at their address.
LETTERS = 500
#: Of how many of the newest jobs of a period is told how long they ran and waited.
COUNTED = 20_000


@dataclass(frozen=True, slots=True)
class Period:
    """A time to look back on.

    Attributes:
        seconds: How long.
        steps: Bars of its chart.
        fresh: Seconds for which its figures are kept.
        form: How the beginning of a step is written.
    """

    name: str
    seconds: float
    steps: int
    fresh: float
    form: str


PERIODS = {
    one.name: one
    for one in (
        Period("hour", 3_600, 60, 5, "%H:%M"),
        Period("day", 86_400, 48, 60, "%a %H:%M"),
        Period("week", 604_800, 56, 300, "%a %d %b %H:%M"),
    )
}


@dataclass(frozen=True, slots=True)
class Attention:
    """Something to look at, and where."""

    kind: str
    said: str
    href: str


@screen.page("")
def index() -> ResponseReturnValue:
    period = PERIODS.get(request.args.get("period", ""), PERIODS["hour"])
    counts = _counts()
    common: dict[str, Any] = {
        "period": period,
        "periods": PERIODS,
        "states": states.STATES,
        "counts": counts,
    }
    if access.user().organization_id is not None:
        # The other figures are of all organizations.
        return page("overview.html", **common, found=None)
    found = cached("health", FRESH, health.check)
    ended = computed_beside(
        ("ended", period.name),
        period.fresh,
        lambda: throughput(since=period.seconds, steps=period.steps),
    )
    figures = computed_beside(
        ("stats", period.name),
        max(15.0, period.fresh),
        lambda: stats(since=period.seconds, counted=COUNTED),
    )
    return page(
        "overview.html",
        **common,
        found=found,
        attention=list(_attention(found, counts)),
        ended=ended,
        bars=charts.stacked([_bar(step, period) for step in ended.steps]) if ended else [],
        most=max((step.completed + step.dead for step in ended.steps), default=0) if ended else 0,
        first=ended.steps[0].since.strftime(period.form) if ended else "",
        figures=figures,
        counted=COUNTED,
        spent=computed_beside(("usage", "day"), 60.0, lambda: usage.usage(since=usage.DAY)),
    )


def _bar(step: Step, period: Period) -> tuple[str, dict[str, int]]:
    since = f"from {step.since.strftime(period.form)} UTC"
    said = f"{since}: {step.completed:,} completed, {step.dead:,} dead"
    return said, {"completed": step.completed, "dead": step.dead}


def _counts() -> dict[str, int | None]:
    own = access.user().organization_id

    def count() -> dict[str, int | None]:
        wanted = [access.within(state.as_filter()) for state in states.STATES.values()]
        return dict(zip(states.STATES, count_jobs(wanted, cap=formatting.CAP), strict=True))

    return cached(("counts", own), FRESH, count)


#: By the code of a reason, the list behind it.
_BEHIND = {
    "idle": {"state": "pending"},
    "overdue": {"state": "pending"},
    "stuck": {"state": "processing"},
    "failureRate": {"state": "dead", "newer": "1h"},
}


#: Or the screen.
_SCREENS = {"schedule": "schedules", "paused": "queues"}


def _attention(found: Health, counts: dict[str, int | None]) -> Iterator[Attention]:
    """Yield what is wrong, the worst first, and then what is left from before."""
    worst_first = sorted(found.reasons, key=lambda one: one.verdict != HealthStatus.UNHEALTHY)
    for reason in worst_first:
        kind = "bad" if reason.verdict == HealthStatus.UNHEALTHY else "warning"
        behind = _BEHIND.get(reason.code, {})
        href = link(_SCREENS[reason.code]) if reason.code in _SCREENS else link("jobs", **behind)
        yield Attention(kind, reason.message, href)
    if counts["dead"] != 0:
        is_one = counts["dead"] == 1
        said = f"{formatting.plural(counts['dead'], 'job')} {'is' if is_one else 'are'} dead"
        yield Attention("warning", said, link("jobs", state="dead"))

    for said, where in computed_beside("qstash", FRESH_AT_QSTASH, _at_qstash) or ():
        yield Attention("warning", said, link(where))


def _at_qstash() -> list[tuple[str, str]]:
    """Return what QStash shows to be wrong, and the screens; nothing where it does not tell."""
    try:
        drift = len(schedules.plan())
        letters = dlq.letters(limit=LETTERS)
    except JobsError:  # those screens say why
        return []
    found = []
    if drift:
        said = f"QStash differs from the code in {formatting.plural(drift, 'schedule')}"
        found.append((said, "schedules"))
    missed = Counter(one.job_type for one in letters if one.status == HTTPStatus.NOT_FOUND)
    for job_type, count in missed.most_common():
        gave_up = formatting.plural(count, "message")
        said = (
            f"QStash gave up {gave_up} of {job_type or 'no job'}, as deliveries were answered 404"
        )
        found.append((said, "dead_letters"))
    return found
