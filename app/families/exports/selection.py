"""Which rows a job exports, and in which chunks they are read.

Rows come in the order of the entity's key. `Extent.last` is read at the start and bounds the
export: rows added later are not in it. Each chunk shows what is committed when it is read: a row
that changes meanwhile is exported once, as it was before or after; a deleted one may be missing.
No transaction holds a snapshot for the duration of an export.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from app.families.exports import filters
from app.families.exports.entity import Entity
from app.jobs import PermanentError
from app.jobs.kit import OwnerId


@dataclass(frozen=True, slots=True)
class Extent:
    """The extent of an export: its last key (0 if nothing matches) and its number of rows."""

    last: int
    total: int


@dataclass(frozen=True, slots=True)
class Selection:
    entity: Entity
    conditions: tuple[ColumnElement[bool], ...]

    def extent(self, connection: Connection) -> Extent:
        key = self.entity.key
        found = select(func.coalesce(func.max(key), 0), func.count()).where(*self.conditions)
        last, total = connection.execute(found).one()
        return Extent(last, total)

    def chunk_end(self, connection: Connection, after: int, last: int, *, rows: int) -> int:
        """Return the key of the n-th row after `after`, at most `last`."""
        chunk = select(self.entity.key).where(*self._between(after, last))
        chunk = chunk.order_by(self.entity.key).offset(rows - 1).limit(1)
        return connection.scalar(chunk) or last

    def rows(self, expressions: Sequence[ColumnElement[Any]], after: int, upto: int) -> Select[Any]:
        """Select the rows whose key is in `(after, upto]`."""
        return select(*expressions).where(*self._between(after, upto)).order_by(self.entity.key)

    def _between(self, after: int, upto: int) -> list[ColumnElement[bool]]:
        return [self.entity.key > after, self.entity.key <= upto, *self.conditions]


def choose(entity: Entity, given: filters.Filters, organization_id: OwnerId | None) -> Selection:
    """Return the rows that match the filters, within what the job's organization may see.

    Raises:
        PermanentError: The filters name another organization than the job's.
    """
    asked = given.organization_id
    if organization_id is not None and asked not in {None, organization_id}:
        raise PermanentError(
            f"filters.organizationId: {asked} is not {organization_id}, the organization that this"
            " job belongs to; leave the filter out, or enqueue the job for that organization"
        )
    limit = asked if organization_id is None else organization_id
    seen = () if limit is None else (entity.visible_to(limit),)
    return Selection(entity, (entity.where, *seen, *given.conditions))
