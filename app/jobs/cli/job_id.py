"""A job's id on the command line: whole, or as many of its first characters as make it clear."""

from typing import Any
from uuid import UUID

import click
from sqlalchemy import select

from ..table.db import db
from ..table.job_rows import get_job_execution_by_job_id
from ..table.models import JobExecution
from ..values.ids import MAX_LENGTH, is_job_id, is_uuid
from . import formatting
from .group import Refused

#: Fewer characters are only taken for a whole id: as a beginning they would fit by chance.
SHORTEST = 4
#: How many are named where more than one fits.
NAMED = 5

_HEX = frozenset("0123456789abcdef-")
_LOWEST = "00000000-0000-0000-0000-000000000000"


class JobId(click.ParamType[str]):
    """The id of a recorded job; a whole one is taken as it is, also where there is no such job."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        given = str(value).strip().rstrip("….")
        if is_uuid(given) and given != given.lower() and get_job_execution_by_job_id(given):
            return given  # another producer's, in capitals
        try:
            return str(UUID(given))
        except ValueError:
            pass
        if not is_job_id(given):
            self.fail(f"{value!r} is not a line of 1 to {MAX_LENGTH} characters", param, ctx)
        return _only(given, _beginning(given))


def _only(given: str, found: list[JobExecution]) -> str:
    if not found and len(given) < SHORTEST:
        raise Refused(f"{given} is too short for a job's id: give its first {SHORTEST} characters")
    if not found:
        raise Refused(f"there is no job {given}; `flask jobs list` shows the newest")
    if len(found) > 1:
        named = ", ".join(
            f"{row.job_id} ({row.job_type}, {formatting.age(row.created_at)} old)"
            for row in found[:NAMED]
        )
        more = " and more" if len(found) > NAMED else ""
        raise Refused(f"{given} is how several jobs begin: {named}{more}; give more of it")
    return found[0].job_id


def _beginning(given: str) -> list[JobExecution]:
    """Return the job of this very id, or the newest whose ids begin like it."""
    job_id = JobExecution.job_id
    wanted = select(JobExecution).order_by(JobExecution.created_at.desc()).limit(NAMED + 1)
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
