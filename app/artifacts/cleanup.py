"""Remove expired files, and what crashes and rollbacks left behind."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy import delete, func, or_, select

from app.artifacts import spooling
from app.artifacts.models import Artifact
from app.artifacts.names import parse_key, stand_in
from app.artifacts.removal import remove_after_commit
from app.artifacts.stores import Stray, current_store
from app.db import db
from app.jobs import JobExecution, Status

log = logging.getLogger(__name__)

#: Younger than this, a file without a row may belong to a transaction that is about to commit.
MIN_AGE = timedelta(hours=1)
BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """Bytes that no row names and no unfinished job can need.

    Attributes:
        place: Where they are.
        size: How many, None if the store does not say.
        remove: Removes them.
    """

    place: str
    size: int | None
    modified_at: datetime
    remove: Callable[[], None]


def remove_expired(limit: int = 1000) -> int:
    """Delete up to `limit` expired files, and return how many.

    The rows are deleted in `db.session`, the bytes when you commit it; call it until it returns 0.
    Rows that another process is deleting are skipped.
    """
    due = (
        select(Artifact.id)
        .where(Artifact.expires_at <= func.now())
        .order_by(Artifact.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    chosen = delete(Artifact).where(Artifact.id.in_(due.scalar_subquery()))
    keys = db.session.scalars(chosen.returning(Artifact.key)).all()
    remove_after_commit(keys)
    return len(keys)


def remove_orphans(min_age: timedelta = MIN_AGE) -> int:
    """Remove all `orphans`, and return how many; any that cannot be removed stay for next time."""
    removed = 0
    for orphan in orphans(min_age):
        try:
            orphan.remove()
        except Exception:
            log.exception("[artifacts] Orphan not removed", extra={"place": orphan.place})
        else:
            removed += 1
    return removed


def orphans(min_age: timedelta = MIN_AGE) -> Iterator[Orphan]:
    """Find complete files, parts of files and working folders that are no longer needed.

    That is: no row names them, nothing was written to them for `min_age`, and the job that made
    them, if any, is gone or final.
    """
    before = datetime.now(UTC) - min_age
    store = current_store()
    for chunk in _chunks(one for one in store.strays() if one.modified_at <= before):
        yield from (_orphan(stray, store.discard) for stray in _unneeded(chunk))
    for chunk in _chunks(one for one in spooling.strays() if one.modified_at <= before):
        yield from (_orphan(stray, spooling.discard) for stray in _unneeded(chunk))


def _orphan(stray: Stray, discard: Callable[[Stray], None]) -> Orphan:
    return Orphan(
        place=stray.place,
        size=stray.size,
        modified_at=stray.modified_at,
        remove=lambda: discard(stray),
    )


def _unneeded(strays: Sequence[Stray]) -> Iterator[Stray]:
    """Look for the jobs first: a final one has committed its rows, so these are then visible."""
    keys = {stray.key: parse_key(stray.key) for stray in strays}
    alive = _alive({key.job_id for key in keys.values() if key and key.job_id})
    named = set(db.session.scalars(select(Artifact.key).where(Artifact.key.in_(keys))))
    for stray in strays:
        key = keys[stray.key]
        if key and stray.key not in named and key.job_id not in alive:
            yield stray


def _alive(job_ids: set[str]) -> set[str]:
    """Return those of the jobs, by `stand_in`, that may still run."""
    final = or_(
        JobExecution.status.in_([Status.COMPLETED, Status.CANCELLED]),
        JobExecution.dead_at.is_not(None),
    )
    # An id that is not a UUID cannot be looked up by its stand-in; few of these are not final.
    foreign = JobExecution.job_id.not_like("________-____-____-____-____________")
    is_meant = or_(JobExecution.job_id.in_(job_ids), foreign)
    alive = db.session.scalars(select(JobExecution.job_id).where(is_meant, ~final))
    return {stand_in(job_id) for job_id in alive} & job_ids


def _chunks(strays: Iterable[Stray]) -> Iterator[list[Stray]]:
    iterator = iter(strays)
    while chunk := list(islice(iterator, BATCH)):
        yield chunk
