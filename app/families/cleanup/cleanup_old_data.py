"""The job `cleanup-old-data`: payload, schema, handler."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from marshmallow import fields, validate

from app.db import db
from app.families.cleanup import bp
from app.families.cleanup.old_data import old_data
from app.jobs import Continue, Job, PayloadSchema, periodic

#: Seconds of a leg reserved for continuing in the next.
RESERVE = 20.0


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Delete data older than `retention` days, or with `dry_run` only count it."""

    retention: int
    dry_run: bool = False


class CleanupSchema(PayloadSchema[Cleanup]):
    model = Cleanup

    retention = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(1, 36_500, error="Give whole days, from {min} to {max}."),
    )
    dry_run = fields.Boolean(truthy={True}, falsy={False})


@periodic("0 3 * * *", {"retention": 90})
@bp.job(
    "cleanup-old-data",
    "/cleanup",
    payload=CleanupSchema,
    retries=1,
    timeout=300,
    heartbeat=60,
    forgets_empty=True,
    description="Delete data that is past its retention",
)
def cleanup_old_data(payload: Cleanup, job: Job) -> dict[str, Any] | None:
    """Delete in batches, and continue in another delivery if one is not enough.

    What a batch deleted stays deleted, however the job ends. A firing of its schedule that finds
    nothing leaves no job.
    """
    state = job.state or {"now": datetime.now(UTC).isoformat(), "deleted": {}}
    old = old_data(datetime.fromisoformat(state["now"]), payload.retention)
    with db.engine.connect() as connection:
        left = {kind: data.count(connection) for kind, data in old.items()}
    if payload.dry_run:
        return {"dryRun": True, "wouldDelete": left}
    deleted = Counter(dict.fromkeys(old, 0) | state["deleted"])
    total = deleted.total() + sum(left.values())
    for kind, data in old.items():
        for count in data.delete_all():
            deleted[kind] += count
            job.progress(deleted.total(), total, kind)
            if job.deadline < RESERVE:
                raise Continue({**state, "deleted": dict(deleted)})
    if job.schedule_id and not deleted.total():
        return None
    return {"deleted": dict(deleted)}
