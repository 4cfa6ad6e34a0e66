"""The columns that hold ids of users and organizations, made what JOBS_ID_TYPE says.

`flask db upgrade` does so after the migrations, so that one command follows a change of the
setting. Whatever an id of another kind would lose is said before anything is changed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Table, text

from ..values.ids import MAX_LENGTH, OwnerIdColumn, id_type

#: By type: what the column is then, and what an id looks like that loses nothing by it.
_TARGETS = {
    "integer": ("bigint", "^(0|-?[1-9][0-9]{0,17})$", "whole number"),
    "text": (
        f"character varying({MAX_LENGTH})",
        f"^.{{1,{MAX_LENGTH}}}$",
        "line of text",
    ),
    "uuid": ("uuid", "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$", "UUID"),
}

_PRESENT = text(
    """
    SELECT format_type(atttypid, atttypmod) FROM pg_attribute
     WHERE attrelid = to_regclass(:table) AND attname = :column AND NOT attisdropped
    """
)


@dataclass(frozen=True, slots=True)
class OwnerColumn:
    """A column that is not yet what it should be."""

    table: str
    name: str


def problems(connection: Connection, tables: Iterable[Table]) -> list[str]:
    """Say which ids cannot become what JOBS_ID_TYPE says."""
    said = (_problem(connection, column) for column in _differing(connection, tables))
    return [problem for problem in said if problem]


def unlike(connection: Connection, tables: Iterable[Table]) -> list[str]:
    """Name the columns that are not what JOBS_ID_TYPE says."""
    return [f"{column.table}.{column.name}" for column in _differing(connection, tables)]


def follow(connection: Connection, tables: Iterable[Table]) -> None:
    """Make the columns what JOBS_ID_TYPE says, each table in one pass; then nothing is to do."""
    wanted, _, _ = _TARGETS[id_type()]
    changes: dict[str, list[str]] = {}
    for column in _differing(connection, tables):
        change = f"ALTER {column.name} TYPE {wanted} USING {column.name}::text::{wanted}"
        changes.setdefault(column.table, []).append(change)
    for table, made in changes.items():
        connection.execute(text(f"ALTER TABLE {table} {', '.join(made)}"))


def _differing(connection: Connection, tables: Iterable[Table]) -> Iterator[OwnerColumn]:
    wanted, _, _ = _TARGETS[id_type()]
    for table in tables:
        for column in table.columns:
            if isinstance(column.type, OwnerIdColumn):
                asked = {"table": table.name, "column": column.name}
                present = connection.execute(_PRESENT, asked).scalar()
                if present not in {None, wanted}:
                    yield OwnerColumn(table.name, column.name)


def _problem(connection: Connection, column: OwnerColumn) -> str | None:
    _, pattern, kind = _TARGETS[id_type()]
    unfit = text(
        f"SELECT count(*), min({column.name}::text) FROM {column.table}"  # noqa: S608 - our models' names
        f" WHERE {column.name}::text !~ :pattern"
    )
    count, example = connection.execute(unfit, {"pattern": pattern}).one()
    if not count:
        return None
    return (
        f"{column.table}.{column.name} has {count} ids that are not a {kind}, such as {example!r}: "
        f"set JOBS_ID_TYPE to what they are instead of {id_type()}, or correct them"
    )
