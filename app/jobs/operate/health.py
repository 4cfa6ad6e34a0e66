"""How the jobs are: a verdict on the figures, with its reasons."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flask import current_app

from .. import durations
from ..table.models import Status
from ..table.snapshot import CAP, Figures, measure
from .firings import Stopped, stopped

#: The share of failed jobs from which on the original's `health` is unhealthy.
_GUIDES_LIMIT = 0.05


class Verdict(StrEnum):
    """What to think of the jobs."""

    HEALTHY = "healthy"
    #: Jobs run, but somebody should look.
    DEGRADED = "degraded"
    #: Jobs do not run, or most of them fail.
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the verdict is not "healthy"; `code` is for machines."""

    code: str
    verdict: Verdict
    message: str


@dataclass(frozen=True, slots=True)
class Health:
    """The figures, and what is wrong with them."""

    figures: Figures
    reasons: tuple[Reason, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst that a reason says."""
        found = {reason.verdict for reason in self.reasons}
        worst_first = (Verdict.UNHEALTHY, Verdict.DEGRADED)
        return next((verdict for verdict in worst_first if verdict in found), Verdict.HEALTHY)


def check() -> Health:
    """Measure and judge.

    Raises:
        DatabaseUnavailable: There are no figures.
    """
    figures = measure()
    reasons = [*_reasons(figures, current_app.config), *map(_silent, stopped())]
    return Health(figures, tuple(reasons))


def as_json(health: Health) -> dict[str, Any]:
    """Return what `GET /api/admin/job-health` answers."""
    figures = health.figures
    return _as_the_guide(figures) | {
        "verdict": health.verdict,
        "reasons": [
            {"code": reason.code, "verdict": reason.verdict, "message": reason.message}
            for reason in health.reasons
        ],
        "lastHour": figures.last_hour,
        "completed": figures.completed,
        "failed": figures.failed,
        "failureShare": figures.failure_rate,
        "pending": figures.pending,
        "overdue": figures.overdue,
        "oldestPendingSeconds": figures.oldest_pending_seconds,
        "processing": figures.processing,
        "stuck": figures.stuck,
        "retrying": figures.retrying,
        "dead": figures.dead,
        "countsEndAt": CAP,
        "measuredAt": figures.measured_at.isoformat(),
    }


def _as_the_guide(figures: Figures) -> dict[str, Any]:
    """Return what the original's monitoring endpoint answers: the jobs of the last hour."""
    counts = {status: count for status, count in figures.last_hour.items() if count}
    failed, total = counts.get(Status.FAILED, 0), sum(counts.values())
    is_healthy = failed < _GUIDES_LIMIT * total or not failed
    return {
        "stats": [{"status": status, "count": count} for status, count in counts.items()],
        "failureRate": failed,
        "totalJobs": total,
        "health": Verdict.HEALTHY if is_healthy else Verdict.UNHEALTHY,
    }


def _silent(schedule: Stopped) -> Reason:
    said = (
        f"schedule {schedule.schedule_id} has not fired since {_minute(schedule.fired_at)}; "
        f"its next job was due at {_minute(schedule.due_at)}"
    )
    return Reason("schedule", Verdict.DEGRADED, said)


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _reasons(figures: Figures, config: Mapping[str, Any]) -> Iterator[Reason]:
    oldest = figures.oldest_pending_seconds or 0
    if figures.idle and oldest > config["JOBS_HEALTH_IDLE"]:
        idle = durations.in_words(config["JOBS_HEALTH_IDLE"])
        said = f"nothing was processed for {idle}, though jobs are due"
        yield Reason("idle", Verdict.UNHEALTHY, said)
    yield from _failing(figures, config)
    if figures.stuck:
        said = f"{_jobs(figures.stuck)} stuck in processing: no sign of life from the process"
        yield Reason("stuck", Verdict.DEGRADED, said)
    if figures.overdue:
        said = f"{_jobs(figures.overdue)} overdue, the oldest by {durations.in_words(oldest)}"
        yield Reason("overdue", Verdict.DEGRADED, said)


def _failing(figures: Figures, config: Mapping[str, Any]) -> Iterator[Reason]:
    rate = figures.failure_rate
    if rate is None or rate <= config["JOBS_HEALTH_FAILURE_RATE"]:
        return
    most = rate > config["JOBS_HEALTH_UNHEALTHY_RATE"]
    finished = figures.completed + figures.failed
    said = f"{figures.failed} of {_jobs(finished)} of the last hour failed ({rate:.1%})"
    yield Reason("failureRate", Verdict.UNHEALTHY if most else Verdict.DEGRADED, said)


def _jobs(number: int) -> str:
    if number == 1:
        return "1 job"
    return f"{number} jobs" if number < CAP else f"at least {CAP} jobs"
