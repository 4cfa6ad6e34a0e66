"""Jobs by the first characters of their ids, as people type or paste them."""

from sqlalchemy import select

from ..values.ids import OwnerId, is_uuid
from .db import db
from .models import JobExecution

#: Shorter text must be a whole id: as a prefix it would match by chance.
SHORTEST = 4

_HEX = frozenset("0123456789abcdef-")
_LOWEST = "00000000-0000-0000-0000-000000000000"


def jobs_beginning(
    given: str, *, limit: int, organization_id: OwnerId | None = None
) -> list[JobExecution]:
    """Return the job with exactly this id, or the newest whose ids start with it.

    Args:
        given: What was typed.
        limit: How many at most.
        organization_id: Only this organization's.
    """
    job_id = JobExecution.job_id
    wanted = select(JobExecution).order_by(JobExecution.created_at.desc()).limit(limit)
    if organization_id is not None:
        wanted = wanted.where(JobExecution.organization_id == organization_id)
    if exact := db.session.scalars(wanted.where(job_id == given)).all():
        return list(exact)
    if len(given) < SHORTEST:
        return []
    prefix = given.lower() if _HEX.issuperset(given.lower()) else given
    begins = wanted.where(job_id.startswith(prefix, autoescape=True))
    # Our own ids are UUIDs, whose bounds the index can find; it knows no beginnings.
    low = f"{prefix}{_LOWEST[len(prefix) :]}"
    high = f"{prefix}{_LOWEST[len(prefix) :].replace('0', 'f')}"
    if is_uuid(low) and (near := db.session.scalars(begins.where(job_id.between(low, high))).all()):
        return list(near)
    return list(db.session.scalars(begins))
