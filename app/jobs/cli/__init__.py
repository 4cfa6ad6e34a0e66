"""`flask jobs …`: a module per group of commands.

It reads arguments and prints; what a command does is in the rooms below, and nothing imports it.
"""

from . import (
    act,
    check,
    details,
    dlq,
    doctor,
    enqueue,
    health,
    link,
    listing,
    look,
    maintain,
    new,
    schedule,
    statistics,
    watch,
)
from .group import jobs

__all__ = [
    "act",
    "check",
    "details",
    "dlq",
    "doctor",
    "enqueue",
    "health",
    "jobs",
    "link",
    "listing",
    "look",
    "maintain",
    "new",
    "schedule",
    "statistics",
    "watch",
]
