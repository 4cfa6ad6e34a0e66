"""A job's id on the command line: whole, or as many of its first characters as make it clear."""

from typing import Any
from uuid import UUID

import click
from sqlalchemy import String, cast, select

from app.db import db
from app.jobs import show
from app.jobs.cli.group import Refused
from app.jobs.models import JobExecution

#: Fewer would fit by chance.
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
        try:
            return str(UUID(given))
        except ValueError:
            pass
        if len(given) < SHORTEST or "\0" in given:
            needed = f"nor the first {SHORTEST} characters, or more, of a job's id"
            self.fail(f"{value!r} is not a valid UUID, {needed}", param, ctx)
        return _only(given, _beginning(given))


def _only(given: str, found: list[JobExecution]) -> str:
    if not found:
        raise Refused(f"there is no job {given}; `flask jobs list` shows the newest")
    if len(found) > 1:
        named = ", ".join(
            f"{row.job_id} ({row.job_type}, {show.age(row.created_at)} old)"
            for row in found[:NAMED]
        )
        more = " and more" if len(found) > NAMED else ""
        raise Refused(f"{given} is how several jobs begin: {named}{more}; give more of it")
    return found[0].job_id


def _beginning(given: str) -> list[JobExecution]:
    """Return the newest jobs whose ids begin like this."""
    wanted = (
        select(JobExecution)
        .where(cast(JobExecution.job_id, String).startswith(given.lower(), autoescape=True))
        .order_by(JobExecution.created_at.desc())
        .limit(NAMED + 1)
    )
    if not _HEX.issuperset(given.lower()):
        return list(db.session.scalars(wanted))
    # What the index can find is looked for there first.
    low = f"{given.lower()}{_LOWEST[len(given) :]}"
    high = f"{given.lower()}{_LOWEST[len(given) :].replace('0', 'f')}"
    if not (_is_uuid(low) and _is_uuid(high)):
        return list(db.session.scalars(wanted))
    near = wanted.where(JobExecution.job_id.between(low, high))
    return list(db.session.scalars(near)) or list(db.session.scalars(wanted))


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
