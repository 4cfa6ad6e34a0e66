"""How the jobs are: a verdict on a snapshot of them, with its reasons."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flask import current_app

from .. import durations
from ..publish import quota
from ..publish.quota import UsedUp
from ..recover import sweep
from ..table.models import Status
from ..table.snapshot import CAP, Snapshot, measure
from . import pauses
from .firings import Stopped, stopped

#: The share of failed jobs from which on the original's `health` is unhealthy.
_GUIDES_LIMIT = 0.05


#: Fewer failures in the last hour say nothing of the other jobs, whatever their share.
FEWEST_FAILURES = 3


class HealthStatus(StrEnum):
    """What to think of the jobs."""

    HEALTHY = "healthy"
    #: Jobs run, but somebody should look.
    DEGRADED = "degraded"
    #: Jobs do not run, or most of them fail.
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Reason:
    """What the verdict rests on, with its own; `code` is for machines."""

    code: str
    verdict: HealthStatus
    message: str


@dataclass(frozen=True, slots=True)
class Health:
    """The counts, and what is wrong with them.

    Attributes:
        swept_at: When the last sweep ended; None where none did.
        quota: Of QStash, if it is used up.
    """

    snapshot: Snapshot
    reasons: tuple[Reason, ...]
    swept_at: datetime | None
    quota: UsedUp | None

    @property
    def verdict(self) -> HealthStatus:
        """The worst that a reason says."""
        found = {reason.verdict for reason in self.reasons}
        worst_first = (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED)
        return next((verdict for verdict in worst_first if verdict in found), HealthStatus.HEALTHY)


def check() -> Health:
    """Measure and judge.

    Raises:
        DatabaseUnavailable: Nothing can be counted.
    """
    snapshot = measure()
    swept_at, used_up = moments()
    reasons = [
        *_waiting(used_up),
        *_reasons(snapshot, current_app.config),
        *map(_silent, stopped()),
        *map(_paused, pauses.paused()),
    ]
    return Health(snapshot, tuple(reasons), swept_at, used_up)


def moments() -> tuple[datetime | None, UsedUp | None]:
    """Return when the last sweep ended, and QStash's quota if it is used up; raises as `check`."""
    last = sweep.last()
    return (last.at if last else None), quota.used_up()


def as_json(health: Health) -> dict[str, Any]:
    """Return what `GET /api/admin/job-health` answers."""
    snapshot = health.snapshot
    return _as_the_guide(snapshot) | {
        "verdict": health.verdict,
        "reasons": [
            {"code": reason.code, "verdict": reason.verdict, "message": reason.message}
            for reason in health.reasons
        ],
        "lastHour": snapshot.last_hour,
        "completed": snapshot.completed,
        "failed": snapshot.failed,
        "failureShare": snapshot.failure_rate,
        "pending": snapshot.pending,
        "overdue": snapshot.overdue,
        "oldestPendingSeconds": snapshot.oldest_pending_seconds,
        "processing": snapshot.processing,
        "stuck": snapshot.stuck,
        "retrying": snapshot.retrying,
        "paused": snapshot.paused,
        "following": snapshot.following,
        "dead": snapshot.dead,
        "countsEndAt": CAP,
        "quotaUsedUpUntil": health.quota.until.isoformat() if health.quota else None,
        "sweptAt": health.swept_at.isoformat() if health.swept_at else None,
        "measuredAt": snapshot.measured_at.isoformat(),
    }


def _as_the_guide(snapshot: Snapshot) -> dict[str, Any]:
    """Return what the original's monitoring endpoint answers: the jobs of the last hour."""
    counts = {status: count for status, count in snapshot.last_hour.items() if count}
    failed, total = counts.get(Status.FAILED, 0), sum(counts.values())
    is_healthy = failed < _GUIDES_LIMIT * total or not failed
    return {
        "stats": [{"status": status, "count": count} for status, count in counts.items()],
        "failureRate": failed,
        "totalJobs": total,
        "health": HealthStatus.HEALTHY if is_healthy else HealthStatus.UNHEALTHY,
    }


def _waiting(used_up: UsedUp | None) -> Iterator[Reason]:
    if used_up is not None:
        said = f"{used_up}; jobs wait, and are published after that"
        yield Reason("quota", HealthStatus.DEGRADED, said)


def _silent(schedule: Stopped) -> Reason:
    said = (
        f"schedule {schedule.schedule_id} has not fired since {_minute(schedule.fired_at)}; "
        f"its next job was due at {_minute(schedule.due_at)}"
    )
    return Reason("schedule", HealthStatus.DEGRADED, said)


def _paused(found: pauses.Held) -> Reason:
    """Name a pause, which is what a person wanted, and so no trouble."""
    one = found.pause
    number = f"{found.waiting:,}" if found.waiting < pauses.CAP else f"at least {pauses.CAP:,}"
    waits = "1 job waits" if found.waiting == 1 else f"{number} jobs wait"
    because = str(one).rstrip(".")  # of a reason that is a sentence
    said = f"{one.kind} {one.name} is {because}, since {_minute(one.since)}; {waits}"
    return Reason("paused", HealthStatus.HEALTHY, said)


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _reasons(snapshot: Snapshot, config: Mapping[str, Any]) -> Iterator[Reason]:
    oldest = snapshot.oldest_pending_seconds or 0
    if snapshot.idle and oldest > config["JOBS_HEALTH_IDLE"]:
        idle = durations.in_words(config["JOBS_HEALTH_IDLE"])
        said = f"nothing was processed for {idle}, though jobs are due"
        yield Reason("idle", HealthStatus.UNHEALTHY, said)
    yield from _failing(snapshot, config)
    if snapshot.stuck:
        said = f"{_jobs(snapshot.stuck)} stuck in processing: no sign of life from the process"
        yield Reason("stuck", HealthStatus.DEGRADED, said)
    if snapshot.overdue:
        said = f"{_jobs(snapshot.overdue)} overdue, the oldest by {durations.in_words(oldest)}"
        yield Reason("overdue", HealthStatus.DEGRADED, said)


def _failing(snapshot: Snapshot, config: Mapping[str, Any]) -> Iterator[Reason]:
    rate = snapshot.failure_rate
    if rate is None or rate <= config["JOBS_HEALTH_FAILURE_RATE"]:
        return
    if snapshot.failed < FEWEST_FAILURES:
        return
    most = rate > config["JOBS_HEALTH_UNHEALTHY_RATE"]
    finished = snapshot.completed + snapshot.failed
    said = f"{snapshot.failed} of {_jobs(finished)} of the last hour failed ({rate:.1%})"
    yield Reason("failureRate", HealthStatus.UNHEALTHY if most else HealthStatus.DEGRADED, said)


def _jobs(number: int) -> str:
    if number == 1:
        return "1 job"
    return f"{number} jobs" if number < CAP else f"at least {CAP} jobs"
