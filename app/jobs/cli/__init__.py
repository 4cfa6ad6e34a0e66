"""`flask jobs …`: a module per command; `actions` has `retry`, `cancel` and `delete`.

It reads arguments and prints; what a command does is in the rooms below, and nothing imports it.
"""

from . import (  # noqa: F401 - each adds its command to the group
    actions,
    batches,
    check,
    db,
    dev,
    dlq,
    doctor,
    enqueue,
    enqueue_again,
    health,
    init,
    link,
    list,  # noqa: A004 - as its command
    new,
    pauses,
    reconcile,
    run,
    schedules,
    show,
    stats,
    sweep,
    types,
    usage,
    watch,
)
from .group import jobs

__all__ = ["jobs"]
