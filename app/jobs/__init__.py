"""Background jobs for Flask over QStash.

Enqueue, record, publish, deliver, verify, execute, record: `enqueue.enqueuer` tells the first half
of a job's way, `execute.executor` the second.
"""

from .batches.builder import Batch, batch, batch_of
from .batches.signals import signal
from .batches.workflow import Workflow, chain, workflow, workflow_of
from .blueprint import JobBlueprint, JobType
from .context import Job
from .enqueue.enqueuer import JobId, enqueue
from .enqueue.many import JobIds, enqueue_many
from .enqueue.scheduling import schedule
from .enqueue.signatures import Signature, signature
from .errors import (
    BatchRefused,
    Continue,
    DatabaseUnavailable,
    DiscoveryError,
    IllegalTransition,
    InvalidOption,
    InvalidPayload,
    JobsError,
    JobTimeout,
    KeyReused,
    NotUnique,
    PermanentError,
    PublishRefused,
    PublishUnavailable,
    RetryLater,
    SignalUnheard,
    StartRefused,
    UnknownJobType,
    UpdateRefused,
)
from .execute.delivery import is_qstash_endpoint, signed
from .extension import Jobs
from .job_types import JOB_TYPES
from .middleware import Middleware, Proceed
from .operate.pauses import pause, paused, resume
from .operate.queries import create_job_execution, update_job_execution
from .operate.status_link import (
    batch_status_url,
    register_batch_viewer,
    register_links,
    register_viewer,
    status_url,
)
from .periodic import periodic
from .registry import JobConfig, get_job_config
from .schemas import PayloadSchema, WireSchema
from .table.after_commit import after_commit
from .table.job_rows import get_job_execution_by_job_id
from .table.models import JobExecution, Status
from .table.retention import FinishedJobs
from .values.options import FlowControl, Options
from .values.unique import EnqueuedAs, Unique

__all__ = [
    "JOB_TYPES",
    "Batch",
    "BatchRefused",
    "Continue",
    "DatabaseUnavailable",
    "DiscoveryError",
    "EnqueuedAs",
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
    "JobIds",
    "JobTimeout",
    "JobType",
    "Jobs",
    "JobsError",
    "KeyReused",
    "Middleware",
    "NotUnique",
    "Options",
    "PayloadSchema",
    "PermanentError",
    "Proceed",
    "PublishRefused",
    "PublishUnavailable",
    "RetryLater",
    "SignalUnheard",
    "Signature",
    "StartRefused",
    "Status",
    "Unique",
    "UnknownJobType",
    "UpdateRefused",
    "WireSchema",
    "Workflow",
    "after_commit",
    "batch",
    "batch_of",
    "batch_status_url",
    "chain",
    "create_job_execution",
    "enqueue",
    "enqueue_many",
    "get_job_config",
    "get_job_execution_by_job_id",
    "is_qstash_endpoint",
    "pause",
    "paused",
    "periodic",
    "register_batch_viewer",
    "register_links",
    "register_viewer",
    "resume",
    "schedule",
    "signal",
    "signature",
    "signed",
    "status_url",
    "update_job_execution",
    "workflow",
    "workflow_of",
]
