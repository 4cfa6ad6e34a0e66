"""What people do to jobs, schedules and dead letters by hand, and how they see that all is well.

The CLI and the pages call it; it prints nothing. What it changes, it notes in the audit table.
What is listed here is public: an app's own admin pages, APIs and alerts are built from it.
"""

from .. import schedules
from ..publish.quota import UsedUp
from ..recover.sweep import sweep
from ..table import audit, progress, snapshot
from ..table.beginnings import jobs_beginning
from ..table.counts import AtLeast, count_jobs
from ..table.ended import Ended, Step, ended
from ..table.error_groups import GROUPED, ErrorGroup, error_groups
from ..table.filters import SEARCHED, Filter
from ..table.in_use import queues_in_use, tags_in_use
from ..table.load import Load, loads
from ..table.log_lines import AttemptLog, logs_of
from ..table.pages import Page, is_recorded, list_jobs
from ..table.progress import attempts_made, began_at
from ..table.related import Related, related_to
from ..table.snapshot import CAP, STATES, Depth
from ..values import cron
from . import (
    actions,
    again,
    batches,
    dlq,
    figures,
    firings,
    health,
    message_log,
    operations,
    pauses,
    people,
    readiness,
    schedule_actions,
    schedule_runs,
    sessions,
    status_link,
    unique,
    usage,
    waiting,
)
from .actions import Done
from .health import Health, HealthStatus

__all__ = [
    "CAP",
    "GROUPED",
    "SEARCHED",
    "STATES",
    "AtLeast",
    "AttemptLog",
    "Depth",
    "Done",
    "Ended",
    "ErrorGroup",
    "Filter",
    "Health",
    "HealthStatus",
    "Load",
    "Page",
    "Related",
    "Step",
    "UsedUp",
    "actions",
    "again",
    "attempts_made",
    "audit",
    "batches",
    "began_at",
    "count_jobs",
    "cron",
    "dlq",
    "ended",
    "error_groups",
    "figures",
    "firings",
    "health",
    "is_recorded",
    "jobs_beginning",
    "list_jobs",
    "loads",
    "logs_of",
    "message_log",
    "operations",
    "pauses",
    "people",
    "progress",
    "queues_in_use",
    "readiness",
    "related_to",
    "schedule_actions",
    "schedule_runs",
    "schedules",
    "sessions",
    "snapshot",
    "status_link",
    "sweep",
    "tags_in_use",
    "unique",
    "usage",
    "waiting",
]
