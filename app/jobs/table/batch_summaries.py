"""Batches as people and scrapers see them: how many of their jobs have ended, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import Connection, text

from ..values.ids import OwnerId
from .batches import BATCH, RUNNING, STATES, WORKFLOW

_SUMMARY = """
    SELECT batch.id::text AS id, batch.name, batch.kind, batch.state, batch.created_at,
           batch.ended_at, batch.cancelled_at, to_jsonb(batch.user_id) AS user_id,
           to_jsonb(batch.organization_id) AS organization_id,
           coalesce(sum(part.jobs), 0)::int AS jobs, coalesce(sum(part.pending), 0)::int AS pending,
           coalesce(sum(part.dead), 0)::int AS dead,
           coalesce(sum(part.cancelled), 0)::int AS cancelled,
           (SELECT count(*) FROM job_steps AS step
             WHERE step.batch_id = batch.id AND batch.state = 'running'
               AND step.slot IS NOT NULL AND step.started_at IS NULL AND step.ended IS NULL
           ) AS to_begin
      FROM job_batches AS batch LEFT JOIN job_batch_slots AS part ON part.batch_id = batch.id
"""
_FIND = text(f"{_SUMMARY} WHERE batch.id = CAST(:batch_id AS uuid) GROUP BY batch.id")
_LIST = text(
    f"""
    {_SUMMARY}
     WHERE batch.id IN (SELECT id FROM job_batches
                         WHERE (CAST(:state AS text) IS NULL OR state = :state)
                           AND (CAST(:kind AS text) IS NULL OR kind = :kind)
                           AND (CAST(:organization_id AS text) IS NULL
                                OR CAST(organization_id AS text) = :organization_id)
                           AND (CAST(:after_at AS timestamptz) IS NULL OR created_at <= :after_at)
                           AND (CAST(:after_at AS timestamptz) IS NULL OR created_at < :after_at
                                OR id > CAST(:after_id AS uuid))
                         ORDER BY created_at DESC, id LIMIT :limit)
     GROUP BY batch.id ORDER BY batch.created_at DESC, batch.id
    """  # noqa: S608 - our own text
)
# Each count ends at a cap, and is bounded by an index; of those that have ended, it is the newest
# that are counted.
_COUNTS = text(
    " UNION ALL ".join(
        f"""
        SELECT kind, '{state}' AS state, count(*) FROM (
            SELECT kind FROM job_batches WHERE state = '{state}'
             ORDER BY created_at DESC LIMIT :cap) AS capped
         GROUP BY kind
        """  # noqa: S608 - our own words
        for state in STATES
    )
)
_OLDEST = text(
    f"""
    SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
      FROM job_batches WHERE state = '{RUNNING}'
    """  # noqa: S608 - likewise
)
_BEGINNING = text(
    "SELECT id::text FROM job_batches WHERE id::text LIKE :beginning || '%' LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class Summary:
    """A batch as it is now, after `job_batches`, with how its jobs are.

    Attributes:
        jobs: All of them, those included that running ones have added.
        pending: Those that have not ended.
        to_begin: Steps of a workflow that runs whose jobs are not recorded yet.
    """

    id: str
    name: str
    kind: str
    state: str
    created_at: datetime
    ended_at: datetime | None
    cancelled_at: datetime | None
    user_id: OwnerId | None
    organization_id: OwnerId | None
    jobs: int
    pending: int
    dead: int
    cancelled: int
    to_begin: int

    @property
    def completed(self) -> int:
        return self.jobs - self.pending - self.dead - self.cancelled

    @property
    def is_final(self) -> bool:
        """Whether it has ended, unless a job is retried."""
        return self.state != RUNNING

    @property
    def percent(self) -> int:
        """How many of its jobs and steps have ended, of a hundred; 100 not before all have."""
        whole = self.jobs + self.to_begin
        return 100 * (self.jobs - self.pending) // whole if whole else 100


@dataclass(frozen=True, slots=True)
class Counts:
    """How many batches there are, as a scrape of the metrics asks for.

    Attributes:
        by_state: By kind and state, up to the cap for each state.
        oldest_seconds: For how long the first that runs has done so; 0 where none does.
    """

    by_state: Mapping[tuple[str, str], int]
    oldest_seconds: float


def count(connection: Connection, *, cap: int) -> Counts:
    """Count the batches, where an index bounds every part."""
    none = dict.fromkeys(product((BATCH, WORKFLOW), STATES), 0)
    found = {(kind, state): n for kind, state, n in connection.execute(_COUNTS, {"cap": cap})}
    return Counts(none | found, float(connection.execute(_OLDEST).scalar_one()))


def find(connection: Connection, batch_id: str) -> Summary | None:
    row = connection.execute(_FIND, {"batch_id": batch_id}).one_or_none()
    return None if row is None else Summary(*row)


def newest(
    connection: Connection,
    *,
    kind: str | None,
    state: str | None,
    organization_id: OwnerId | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Summary]:
    """Return the batches that were made last.

    Args:
        connection: Any.
        kind: Only those of this one.
        state: Only those in this one.
        organization_id: Only this organization's.
        after: When the last of the page before was made, and its id.
        limit: How many at most.
    """
    after_at, after_id = after or (None, None)
    given: dict[str, Any] = {"kind": kind, "state": state, "limit": limit}
    given["organization_id"] = None if organization_id is None else str(organization_id)
    given |= {"after_at": after_at, "after_id": after_id}
    return [Summary(*row) for row in connection.execute(_LIST, given)]


def beginning(connection: Connection, beginning: str, *, limit: int) -> list[str]:
    """Return the ids that begin like this, of hexadecimal digits and hyphens."""
    given = {"beginning": beginning, "limit": limit}
    return list(connection.execute(_BEGINNING, given).scalars())
