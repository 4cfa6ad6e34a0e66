"""The job that works off what the dashboard was asked to do to many jobs."""

from dataclasses import dataclass
from typing import Any

from marshmallow import fields

from ..jobs import Continue, Job, JobBlueprint, PayloadSchema
from ..jobs.operate import operations

#: Seconds of a delivery reserved for its last batch, which may have to wait for QStash.
RESERVE = 25.0

bp = JobBlueprint("jobs_dashboard_work", __name__)


@dataclass(frozen=True, slots=True)
class Work:
    """An operation, by its id."""

    operation_id: int


class WorkSchema(PayloadSchema[Work]):
    model = Work

    operation_id = fields.Integer(required=True, strict=True)


@bp.job(
    operations.JOB_TYPE,
    "/act-on-jobs",
    payload=WorkSchema,
    retries=5,
    timeout=60,
    description="Do to many jobs what the dashboard was asked for",
)
def act_on_jobs(payload: Work, job: Job) -> dict[str, Any]:
    """Do batch by batch, and continue in another delivery where one is not enough."""
    for found in operations.work(payload.operation_id):
        job.progress(found.changed, found.total or None, found.action)
        if job.deadline < RESERVE:
            raise Continue({"position": found.position})
    ended = operations.find(payload.operation_id)
    return {"state": ended and ended.state, "changed": ended and ended.changed}
