"""Which rows a job exports, and how they are read: in blocks, formatted by PostgreSQL itself.

Rows come in the order of the entity's key. `Extent.last` is read at the beginning and bounds the
export: rows that are added later are not in it. Each chunk shows what is committed when it is read,
so a row that changes meanwhile is exported as it was before or after, once, and one that is
deleted may be missing. No transaction holds a snapshot for the length of an export.
"""

import select as select_module
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from sqlalchemy import ColumnElement, Connection, Select, func, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from app.families.exports import filters
from app.families.exports.entity import Entity
from app.jobs import PermanentError

#: Bytes that are handed on at a time, at least; more only where a single row is larger.
BLOCK = 256 * 1024
ASYNCHRONOUS = 1


@dataclass(frozen=True, slots=True)
class Extent:
    """How far an export goes: its last key (0 where nothing matches), and how many rows that is."""

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
        """Return the key up to which there are so many rows behind `after`, at most `last`."""
        chunk = select(self.entity.key).where(*self._between(after, last))
        chunk = chunk.order_by(self.entity.key).offset(rows - 1).limit(1)
        return connection.scalar(chunk) or last

    def copy(
        self,
        connection: Connection,
        expressions: Sequence[ColumnElement[Any]],
        after: int,
        upto: int,
        *,
        options: str,
    ) -> Generator[list[Buffer]]:
        """Read the rows whose key is in `(after, upto]`, one buffer for each, in blocks.

        Close it where it is not read to its end: the connection is of no use before.

        Args:
            connection: Its transaction is read in.
            expressions: The columns.
            after: Where the last chunk ended.
            upto: Where this one ends.
            options: Of COPY, such as `FORMAT csv`.
        """
        rows = select(*expressions).where(*self._between(after, upto)).order_by(self.entity.key)
        driver: Any = connection.connection.driver_connection
        # Timestamps are written in the session's time zone.
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
        with driver.cursor() as cursor:
            yield from _blocks(cursor, *_copy(rows, options))

    def _between(self, after: int, upto: int) -> list[ColumnElement[bool]]:
        return [self.entity.key > after, self.entity.key <= upto, *self.conditions]


def choose(entity: Entity, given: filters.Filters, organization_id: int | None) -> Selection:
    """Return the rows that match the filters, within what the job's organization may see.

    Raises:
        PermanentError: The filters ask for another organization than the job's own.
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


def _copy(rows: Select[Any], options: str) -> tuple[str, dict[str, Any]]:
    compiled = rows.compile(
        dialect=PGDialect_psycopg(),  # type: ignore[no-untyped-call] # SQLAlchemy's own gap
        compile_kwargs={"render_postcompile": True},
    )
    return f"COPY ({compiled}) TO STDOUT ({options})", dict(compiled.params)


def _blocks(
    cursor: psycopg.Cursor[Any], statement: str, params: dict[str, Any]
) -> Generator[list[Buffer]]:
    """Gather rows, each of which is a message of the server, until they are worth handing on.

    Reads libpq's buffer itself: iterating over psycopg's `Copy` takes as long again, for each row.
    """
    rows: list[Buffer] = []
    size = 0
    with cursor.copy(statement, params):
        connection = cursor.connection.pgconn
        poll = select_module.poll()
        poll.register(connection.socket, select_module.POLLIN)
        while (received := connection.get_copy_data(ASYNCHRONOUS))[0] >= 0:
            length, row = received
            if length == 0:
                # Not longer than a second: a time limit interrupts Python, not this.
                poll.poll(1000)
                connection.consume_input()
                continue
            rows.append(row)
            size += length
            if size >= BLOCK:
                yield rows
                rows, size = [], 0
        _check_end(connection)
    if rows:
        yield rows


def _check_end(connection: PGconn) -> None:
    """Raise what ended the rows, unless they are all there; it is on its way already."""
    while (result := connection.get_result()) is not None:
        if result.status != ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result)
