"""`flask jobs …`: a module per group of commands."""

from . import (
    act,
    check,
    db,
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
    "db",
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
