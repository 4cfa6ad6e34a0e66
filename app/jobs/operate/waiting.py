"""For what jobs wait that could run, where that is known."""

from collections.abc import Sequence

from ..publish import quota
from ..table.models import JobExecution, Status
from . import pauses, unique


def reasons(rows: Sequence[JobExecution]) -> dict[str, str]:
    """Return, by job id, why those of the jobs wait that a pause holds, another job, or the quota.

    Raises:
        DatabaseUnavailable: It cannot be told.
    """
    waiting = [row for row in rows if row.status in {Status.PENDING, Status.FAILED}]
    held = pauses.holding([row for row in waiting if not row.is_final])
    said = {job_id: str(pause) for job_id, pause in held.items()}
    said |= {
        row.job_id: f"job {before}, which does the same, has to end first"
        for row in waiting
        if row.job_id not in said and (before := unique.facts_of(row).get("follows"))
    }
    unpublished = [
        row.job_id for row in rows if row.status == Status.PENDING and row.published_at is None
    ]
    used_up = quota.used_up() if unpublished else None
    return (dict.fromkeys(unpublished, str(used_up)) if used_up else {}) | said
