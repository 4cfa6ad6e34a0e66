"""For what recorded jobs wait that QStash does not have, where that is known."""

from collections.abc import Sequence

from ..publish import quota
from ..table.models import JobExecution, Status


def reasons(rows: Sequence[JobExecution]) -> dict[str, str]:
    """Return, by job id, why those of the jobs are not published yet that wait for the quota.

    Raises:
        DatabaseUnavailable: It cannot be told.
    """
    unpublished = [
        row.job_id for row in rows if row.status == Status.PENDING and row.published_at is None
    ]
    used_up = quota.used_up() if unpublished else None
    return dict.fromkeys(unpublished, str(used_up)) if used_up else {}
