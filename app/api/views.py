"""Jobs as callers with a key see them: without sealed or masked fields."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.api.keys import Key
from app.jobs import JobConfig, JobExecution
from app.jobs.kit import hidden
from app.jobs.operate import AttemptLog, attempts_made, batches, began_at, pauses, status_link


def summary(row: JobExecution) -> dict[str, Any]:
    """Return a job for a list."""
    return {
        "jobId": row.job_id,
        "type": row.job_type,
        "status": row.status,
        "final": row.is_final,
        "error": status_link.error_class(row),
        "attempts": attempts_made(row),
        "tags": row.tags or [],
        "batchId": row.batch_id,
        "userId": row.user_id,
        "organizationId": row.organization_id,
        "createdAt": _iso(row.created_at),
        "startedAt": _iso(began_at(row)),
        "completedAt": _iso(row.completed_at),
    }


def details(row: JobExecution, key: Key) -> dict[str, Any]:
    """Return a single job. Only the operator's keys see its error, which may expose internals."""
    whole = status_link.describe(row) | {
        "payload": hidden(row.payload.get("payload")),
        "userId": row.user_id,
        "organizationId": row.organization_id,
        "idempotencyKey": row.idempotency_key,
        "messageId": row.message_id,
        "scheduleId": row.schedule_id,
        "scheduledFor": _iso(row.scheduled_for),
        "availableAt": _iso(row.available_at),
        "generation": row.generation,
        "tags": row.tags or [],
        "parentId": row.parent_id,
        "batchId": row.batch_id,
    }
    return whole | ({"errorText": row.error} if key.organization_id is None else {})


def log(kept: AttemptLog) -> dict[str, Any]:
    return {"attempt": kept.attempt, "leftOut": kept.left_out, "lines": kept.lines}


def pause(held: pauses.Held) -> dict[str, Any]:
    one = held.pause
    return {
        "kind": one.kind,
        "name": one.name,
        "reason": one.reason,
        "by": one.by,
        "since": _iso(one.since),
        "waiting": held.waiting,
    }


def batch(found: batches.Summary) -> dict[str, Any]:
    """Return a batch for a list."""
    seen = status_link.describe_batch(found, ())
    return {name: value for name, value in seen.items() if name != "steps"} | {
        "kind": found.kind,
        "userId": found.user_id,
        "organizationId": found.organization_id,
        "cancelledAt": _iso(found.cancelled_at),
    }


def whole_batch(found: batches.Summary, steps: Sequence[batches.StepState]) -> dict[str, Any]:
    """Return a single batch, with its steps and what follows its end."""
    return batch(found) | {"steps": [_step(one) for one in steps]}


def _step(step: batches.StepState) -> dict[str, Any]:
    return {
        "name": step.name,
        "state": step.state,
        "kind": step.kind,
        "after": step.after,
        "jobId": step.job_id,
        "jobType": step.job_type,
        "event": step.event,
        "jobs": step.jobs,
        "pending": step.pending,
        "startedAt": _iso(step.started_at),
        "dueAt": _iso(step.due_at),
    }


def job_type(config: JobConfig) -> dict[str, Any]:
    names = ("type", "description", "retries", "timeout", "queue", "version", "sealed", "tags")
    return {name: getattr(config, name) for name in names}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
