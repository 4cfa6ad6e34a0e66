"""The runs of a schedule: those to come, and what became of those that were."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..errors import InvalidDelivery
from ..schemas import load_envelope
from ..table import firings
from ..table.db import in_transaction
from ..table.filters import Filter
from ..table.models import JobExecution
from ..table.pages import list_jobs
from ..values import cron as crons
from ..values import jsonb
from ..values.firing_rules import Rules

if TYPE_CHECKING:
    from qstash.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of one firing.

    Attributes:
        at: The moment of the cron that it is of; of a job that is not known to be of one, when the
            job was recorded.
        outcome: "fired"; "caught up", as its job was missed; "skipped"; or "missed".
        job: Its job, where it has one that is recorded still.
        made_up_by: The id of the job that stands for it, where it was missed.
        reason: Why it was skipped or missed.
    """

    at: datetime
    outcome: str
    job: JobExecution | None = None
    made_up_by: str | None = None
    reason: str | None = None


def rules_of(schedule: "Schedule") -> Rules:
    """Return the rules of a schedule; none of one that is none of ours."""
    try:
        of = load_envelope(jsonb.loads(schedule.body or "")).metadata.schedule
    except (InvalidDelivery, ValueError):
        return Rules()
    return of.rules if of else Rules()


def next_runs(schedule: "Schedule", count: int) -> list[datetime]:
    """Return when a schedule runs next, its jitter included, in its own time zone."""
    rules, name = rules_of(schedule), schedule.schedule_id
    due = crons.next_runs(schedule.cron, count)
    return [moment + timedelta(seconds=rules.put_off(name, moment)) for moment in due]


def last_runs(schedule_id: str, limit: int) -> Sequence[Run]:
    """Return the last runs of a schedule, the latest first, those that were skipped among them.

    Raises:
        DatabaseUnavailable: It cannot be told.
    """
    jobs = list_jobs(Filter(schedule_id=schedule_id), limit=limit).jobs
    noted = in_transaction(lambda tx: firings.recent(tx, schedule_id, limit))
    outcomes = {one.job_id: one.outcome for one in noted if one.outcome != "missed"}
    runs = [
        Run(
            at=job.scheduled_for or job.created_at,
            outcome=outcomes.get(job.job_id, "fired"),
            job=job,
        )
        for job in jobs
    ]
    runs += [
        Run(
            at=one.scheduled_for,
            outcome=one.outcome,
            made_up_by=one.job_id,
            reason=one.reason,
        )
        for one in noted
        if one.outcome in {"skipped", "missed"}
    ]
    return sorted(runs, key=lambda run: run.at, reverse=True)[:limit]
