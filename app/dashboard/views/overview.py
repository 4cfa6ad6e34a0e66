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
    Ended,
    Health,
    HealthStatus,
    Step,
    count_jobs,
    dlq,
    ended,
    health,
    schedules,
    usage,
)
from .. import access, charts, formatting, states
from ..cached import Figure, Shown, figures_of
from ..rendering import link, page
from ..screens import Screen

screen = Screen("overview", "Overview")

#: Seconds for which the counts are the same for everybody: about as many as between two refreshes
#: of the page, so that many who look at it ask the database as often as one.
FRESH = 4.5
#: The same of the verdict and of the last hour, which cost more and change less.
FRESH_IN_TURN = 9.5
#: Seconds for which is known what QStash says: asking it costs a request.
FRESH_AT_QSTASH = 60.0
#: Seconds for which is known what QStash's messages of today are.
FRESH_USAGE = 60.0
#: Among how many dead letters is looked for deliveries that found nothing at their address.
LETTERS = 500
Counts = dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Period:
    """A time to look back on.

    Attributes:
        steps: Bars of its chart.
        seconds: How long each of them is.
        fresh: Seconds for which its figures are kept.
        form: How the beginning of a step is written.
    """

    name: str
    steps: int
    seconds: int
    fresh: float
    form: str


PERIODS = {
    one.name: one
    for one in (
        Period("hour", 60, 60, FRESH_IN_TURN, "%H:%M"),
        Period("day", 24, 3_600, 60.0, "%a %H:%M"),
        Period("week", 56, 3 * 3_600, 300.0, "%a %d %b %H:%M"),
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
    common: dict[str, Any] = {"period": period, "periods": PERIODS, "states": states.STATES}
    if access.user().organization_id is not None:
        # The other figures are of all organizations.
        (counts,) = figures_of(_counts())
        return page("overview.html", **common, counts=counts, is_whole=False, counting=not counts)
    shown = figures_of(
        _counts(),
        Figure("health", Health, FRESH_IN_TURN, health.check),
        _ended(period),
        Figure("usage today", usage.Today, FRESH_USAGE, usage.today),
        Figure("qstash", list[tuple[str, str]], FRESH_AT_QSTASH, _at_qstash),
    )
    return page("overview.html", **common, **_said(period, shown), is_whole=True)


def _said(period: Period, shown: list[Shown[Any]]) -> dict[str, Any]:
    counts: Shown[Counts]
    found: Shown[Health]
    lately: Shown[Ended]
    counts, found, lately, spent, at_qstash = shown
    chart = lately.value
    return {
        "counts": counts,
        "found": found,
        "attention": list(_attention(found.value, counts.value or {}, at_qstash.value or [])),
        "ended": lately,
        "bars": charts.stacked([_bar(step, period) for step in chart.steps]) if chart else [],
        "most": max(step.completed + step.dead for step in chart.steps) if chart else 0,
        "first": formatting.local(chart.steps[0].since, period.form) if chart else "",
        "spent": spent,
        "counting": any(one.value is None for one in (counts, found, lately, spent)),
    }


def _ended(period: Period) -> Figure[Ended]:
    return Figure(
        f"ended {period.name}",
        Ended,
        period.fresh,
        lambda: ended(steps=period.steps, seconds=period.seconds),
    )


def _bar(step: Step, period: Period) -> tuple[str, dict[str, int]]:
    since = f"from {formatting.local(step.since, period.form)}"
    said = f"{since}: {step.completed:,} completed, {step.dead:,} dead"
    return said, {"completed": step.completed, "dead": step.dead}


def _counts() -> Figure[Counts]:
    own = access.user().organization_id
    wanted = [access.within(state.as_filter()) for state in states.STATES.values()]
    return Figure(
        "counts" if own is None else f"counts {own}",
        Counts,
        FRESH,
        lambda: dict(zip(states.STATES, count_jobs(wanted, cap=formatting.CAP), strict=True)),
    )


#: By the code of a reason, the list behind it.
_BEHIND = {
    "idle": {"state": "pending"},
    "overdue": {"state": "pending"},
    "stuck": {"state": "processing"},
    "failureRate": {"state": "dead", "newer": "1h"},
}


#: Or the screen.
_SCREENS = {"schedule": "schedules", "paused": "queues"}


def _attention(
    found: Health | None, counts: Counts, at_qstash: list[tuple[str, str]]
) -> Iterator[Attention]:
    """Yield what is wrong, the worst first, and then what is left from before."""
    reasons = found.reasons if found else ()
    for reason in sorted(reasons, key=lambda one: one.verdict != HealthStatus.UNHEALTHY):
        kind = "bad" if reason.verdict == HealthStatus.UNHEALTHY else "warning"
        behind = _BEHIND.get(reason.code, {})
        href = link(_SCREENS[reason.code]) if reason.code in _SCREENS else link("jobs", **behind)
        yield Attention(kind, reason.message, href)
    dead = counts.get("dead", 0)
    if dead != 0:
        said = f"{formatting.plural(dead, 'job')} {'is' if dead == 1 else 'are'} dead"
        yield Attention("warning", said, link("jobs", state="dead"))
    for said, where in at_qstash:
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
