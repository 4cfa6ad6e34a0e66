"""The dashboard's list of jobs as a file, by the job `export-data`, where the app has that."""

from datetime import UTC, datetime
from typing import Any

from flask import current_app

from app.dashboard import User
from app.jobs import enqueue
from app.jobs.kit import registry_of
from app.jobs.operate import Filter

JOB_TYPE = "export-data"
#: What the job's filters call those of a list; what has others is none that it can choose.
_NAMES = {
    "status": "status",
    "state": "state",
    "job_type": "jobType",
    "user_id": "userId",
    "organization_id": "organizationId",
    "recorded_from": "createdAfter",
    "recorded_to": "createdBefore",
    "everything": None,
}


def export_jobs(wanted: Filter, user: User) -> str | None:
    """Enqueue a job that writes these jobs as CSV; None where it cannot choose them."""
    given = wanted.as_of(datetime.now(UTC)).as_json()
    if "dead" in given:  # of jobs that failed, as a tab has them
        given |= {"state": "dead" if given.pop("dead") else "retrying"}
        given.pop("status", None)
    is_known = any(config.type == JOB_TYPE for config in registry_of(current_app))
    if not is_known or not given.keys() <= _NAMES.keys():
        return None
    filters: dict[str, Any] = {
        name: value for key, value in given.items() if (name := _NAMES[key]) is not None
    }
    payload = {"entityType": "job-executions", "format": "csv", "filters": filters}
    return str(enqueue(JOB_TYPE, payload, organization_id=user.organization_id))
