"""The rows of jobs that nobody here enqueued: another producer's, and schedules' firings."""

from dataclasses import dataclass

from sqlalchemy import Connection

from ..outcome import Skipped
from ..payload import loading
from ..table import job_rows, unique
from ..table.attempts import Attempt


@dataclass(frozen=True, slots=True)
class NotNeeded(Skipped):
    """A schedule fired, and a job of the same key is there: one is enough."""

    label = "not_needed"
    event = "[jobs] Firing not needed"


def record(tx: Connection, attempt: Attempt) -> bool:
    """Insert the job of a delivery.

    Returns:
        False if it is a firing of a unique type, and another job has its key.
    """
    config, delivery = attempt.config, attempt.delivery
    rule = config.unique if delivery.is_firing and delivery.broken is None else None
    if rule is None:
        job_rows.create_job_execution(tx, attempt.row)
        return True
    wire = loading.dump(config.schema, delivery.payload)
    key = rule.key(config.type, delivery.organization_id, wire)
    return unique.record_firing(tx, attempt.row, rule, key)
