"""The six states that people tell jobs by: the statuses, with failed jobs told apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select

from ..jobs import JobExecution, Status
from ..jobs.kit import in_transaction, registry_of


@dataclass(frozen=True, slots=True)
class State:
    """One state.

    Attributes:
        name: In addresses, and the name of its picture.
        title: On its tab, and its empty list.
        says: What it means.
    """

    name: str
    title: str
    says: str
    status: Status
    dead: bool | None = None

    def as_filter(self) -> dict[str, Any]:
        """Return what `Filter` calls it."""
        return {"status": self.status, "dead": self.dead}


STATES = {
    one.name: one
    for one in (
        State("pending", "Pending", "waits to be delivered", Status.PENDING),
        State("processing", "Processing", "its handler runs", Status.PROCESSING),
        State("retrying", "Retrying", "failed, and will be tried again", Status.FAILED, dead=False),
        State("dead", "Dead", "failed, and will not be tried again", Status.FAILED, dead=True),
        State("completed", "Completed", "its handler returned", Status.COMPLETED),
        State("cancelled", "Cancelled", "somebody called it off", Status.CANCELLED),
    )
}

#: The mark of each word for how something is: that of a job's state which is the most alike, or one
#: of its own.
_MARKS = {
    **dict.fromkeys(("running", "continued", "started"), "processing"),
    **dict.fromkeys(("failed", "timed out"), "dead"),
    **dict.fromkeys(("skipped", "disabled", "expired"), "cancelled"),
    "rescheduled": "retrying",
    "released": "retrying",
    "done": "completed",
    "lost": "warning",
    "drift": "warning",
    "silent": "bad",
    "stopped": "paused",
    **{name: name for name in (*STATES, "paused", "warning", "bad", "good")},
}

_ACTIONS = {
    "pending": ("cancel",),
    "processing": ("cancel",),
    "retrying": ("retry", "cancel"),
    "dead": ("retry", "delete"),
    "completed": ("delete",),
    "cancelled": ("retry", "delete"),
}


def kind_of(word: str) -> str:
    """Return the shape and the colour that a word for how something is has, as their name."""
    return _MARKS.get(word, "pending")


def state_of(row: JobExecution) -> State:
    """Return the state of a job."""
    return STATES[_name(row.status, row.dead_at)]


def job_states(job_ids: Iterable[str | None]) -> dict[str, str]:
    """Return in which states jobs are, by their ids; those that are gone are left out."""
    job = JobExecution
    wanted = job.job_id.in_([one for one in job_ids if one])
    query = select(job.job_id, job.status, job.dead_at).where(wanted)
    rows = in_transaction(lambda tx: tx.execute(query).all())
    return {row.job_id: _name(row.status, row.dead_at) for row in rows}


def _name(status: str, dead_at: datetime | None) -> str:
    if status == Status.FAILED:
        return "dead" if dead_at else "retrying"
    return str(status)


def actions_for(row: JobExecution) -> list[str]:
    """Name what can be done to a job in its state, the likeliest first."""
    possible = _ACTIONS[state_of(row).name]
    is_asked = row.status == Status.PROCESSING and row.cancelled_at is not None
    return [
        name
        for name in possible
        if (name != "retry" or is_known(row.job_type)) and not (is_asked and name == "cancel")
    ]


def is_known(job_type: str) -> bool:
    """Tell whether this app has such jobs, and not only its past."""
    return any(config.type == job_type for config in registry_of(current_app))
