"""`flask jobs …`: a module per group of commands."""

from app.jobs.cli import act, check, enqueue, health, link, look, maintain, schedule, watch
from app.jobs.cli.group import jobs

__all__ = [
    "act",
    "check",
    "enqueue",
    "health",
    "jobs",
    "link",
    "look",
    "maintain",
    "schedule",
    "watch",
]
