"""Background jobs for Flask over QStash.

Enqueue, record, publish, deliver, verify, execute, record: `dispatcher` tells the first half of a
job's way, `worker` the second.
"""

from app.jobs.blueprint import JobBlueprint, JobType
from app.jobs.context import Job
from app.jobs.dispatcher import JobId, enqueue, enqueue_many, schedule
from app.jobs.errors import (
    Continue,
    DatabaseUnavailable,
    IllegalTransition,
    InvalidOption,
    InvalidPayload,
    JobsError,
    JobTimeout,
    PermanentError,
    PublishRefused,
    PublishUnavailable,
    RetryLater,
    UnknownJobType,
    UpdateRefused,
)
from app.jobs.executions import get_job_execution_by_job_id
from app.jobs.extension import Jobs
from app.jobs.job_types import JOB_TYPES
from app.jobs.models import JobExecution, Status
from app.jobs.options import Options
from app.jobs.periodic import periodic
from app.jobs.queries import create_job_execution, update_job_execution
from app.jobs.registry import FlowControl, JobConfig, get_job_config
from app.jobs.retention import FinishedJobs
from app.jobs.schemas import PayloadSchema, WireSchema
from app.jobs.signature import signed
from app.jobs.status import register_links, register_viewer, status_url

__all__ = [
    "JOB_TYPES",
    "Continue",
    "DatabaseUnavailable",
    "FinishedJobs",
    "FlowControl",
    "IllegalTransition",
    "InvalidOption",
    "InvalidPayload",
    "Job",
    "JobBlueprint",
    "JobConfig",
    "JobExecution",
    "JobId",
    "JobTimeout",
    "JobType",
    "Jobs",
    "JobsError",
    "Options",
    "PayloadSchema",
    "PermanentError",
    "PublishRefused",
    "PublishUnavailable",
    "RetryLater",
    "Status",
    "UnknownJobType",
    "UpdateRefused",
    "WireSchema",
    "create_job_execution",
    "enqueue",
    "enqueue_many",
    "get_job_config",
    "get_job_execution_by_job_id",
    "periodic",
    "register_links",
    "register_viewer",
    "schedule",
    "signed",
    "status_url",
    "update_job_execution",
]
