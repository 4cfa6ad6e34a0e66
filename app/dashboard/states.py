"""The six states that people tell jobs by: the statuses, with failed jobs told apart."""

from dataclasses import dataclass
from typing import Any

from flask import current_app

from ..jobs import JobExecution, Status
from ..jobs.kit import registry_of


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

_ACTIONS = {
    "pending": ("cancel",),
    "processing": ("cancel",),
    "retrying": ("retry", "cancel"),
    "dead": ("retry", "delete"),
    "completed": ("delete",),
    "cancelled": ("retry", "delete"),
}


def state_of(row: JobExecution) -> State:
    """Return the state of a job."""
    if row.status == Status.FAILED:
        return STATES["dead" if row.dead_at else "retrying"]
    return STATES[row.status]


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
