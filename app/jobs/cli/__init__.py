"""`flask jobs …`: a module per group of commands."""

from app.jobs.cli import act, check, enqueue, look, maintain, schedule
from app.jobs.cli.group import jobs

__all__ = ["act", "check", "enqueue", "jobs", "look", "maintain", "schedule"]
