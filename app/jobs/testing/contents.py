"""The contents of the database: all rows, and which of their values always differ."""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from ..migrations import VERSION_TABLE
from ..table.db import Base

#: The name under which the jobs that a job enqueues are compared.
ENQUEUED = "jobs enqueued"

_OWN_TABLES = ("alembic_version", VERSION_TABLE)

_TABLES = text(
    """
    SELECT class.oid::regclass::text FROM pg_class AS class
      JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
     WHERE relkind IN ('r', 'p') AND NOT relispartition
       AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
    """
)

# Sealed payloads differ each time.
_ENQUEUED = text(
    """
    SELECT jsonb_build_object('type', job_type, 'user_id', user_id, 'key', idempotency_key,
                              'organization_id', organization_id, 'payload',
                              CASE WHEN payload->'sealed' IS NULL THEN payload->'payload' END)
      FROM job_executions WHERE job_id <> :job_id
    """
)

_COLUMNS = text(
    """
    SELECT attrelid::regclass::text, attname,
           format_type(atttypid, NULL) ~ '^(date|time)' AS is_time,
           attidentity <> '' OR pg_get_expr(adbin, adrelid) ~ 'nextval|uuid' AS is_generated
      FROM pg_attribute
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attnum > 0 AND NOT attisdropped
    """
)

_REFERENCES = text(
    """
    SELECT conrelid::regclass::text, here.attname, confrelid::regclass::text, there.attname
      FROM pg_constraint
      JOIN pg_attribute AS here ON here.attrelid = conrelid AND here.attnum = conkey[1]
      JOIN pg_attribute AS there ON there.attrelid = confrelid AND there.attnum = confkey[1]
     WHERE contype = 'f' AND array_length(conkey, 1) = 1
    """
)

Rows = list[dict[str, Any]]
Contents = dict[str, Rows]
Column = tuple[str, str]


@dataclass(slots=True)
class Layout:
    """The columns that hold times, and those that hold generated keys.

    Attributes:
        keys: By column, where its keys are made: the column itself, or what it references.
    """

    times: set[Column] = field(default_factory=set)
    keys: dict[Column, Column] = field(default_factory=dict)


def read(connection: Connection, job_id: str) -> Contents:
    """Return the rows of all tables as this transaction sees them, but for the job's own."""
    contents: Contents = {
        name: list(connection.execute(text(f"SELECT to_jsonb(t) FROM {name} AS t")).scalars())  # noqa: S608 - names of tables, quoted by PostgreSQL
        for name in table_names(connection)
        if name not in Base.metadata.tables
    }
    contents[ENQUEUED] = list(connection.execute(_ENQUEUED, {"job_id": job_id}).scalars())
    return contents


def table_names(connection: Connection) -> list[str]:
    """Return all tables but those in which Alembic keeps versions."""
    found = connection.execute(_TABLES).scalars()
    return [name for name in found if name.rpartition(".")[2] not in _OWN_TABLES]


def layout(connection: Connection) -> Layout:
    found = Layout()
    for table, column, is_time, is_generated in connection.execute(_COLUMNS):
        if is_time:
            found.times.add((table, column))
        if is_generated:
            found.keys[table, column] = (table, column)
    for table, column, to_table, to_column in connection.execute(_REFERENCES):
        if (to_table, to_column) in found.keys:
            found.keys[table, column] = (to_table, to_column)
    return found


def comparable(
    contents: Contents, before: Contents, layout: Layout, ignore: Collection[str]
) -> dict[str, Counter[str]]:
    """Return the rows without values that differ between runs: times, and newly generated keys."""
    made_before = {
        source: {row.get(source[1]) for row in before.get(source[0], [])}
        for source in layout.keys.values()
    }

    def kept(table: str, row: Mapping[str, Any]) -> str:
        values = {}
        for name, value in row.items():
            if (table, name) in layout.times or f"{table}.{name}" in ignore:
                continue
            source = layout.keys.get((table, name))
            is_new = source is not None and value is not None and value not in made_before[source]
            values[name] = "(new)" if is_new else value
        return json.dumps(values, sort_keys=True)

    return {table: Counter(kept(table, row) for row in rows) for table, rows in contents.items()}


def differences(one: Mapping[str, Counter[str]], other: Mapping[str, Counter[str]]) -> list[str]:
    """Return, table by table, what `other` has that `one` does not, and what it lacks."""
    lines = []
    for table in sorted(one.keys() | other.keys()):
        expected, found = one.get(table, Counter()), other.get(table, Counter())
        lines += [f"{table}: {n} too many: {row}" for row, n in (found - expected).items()]
        lines += [f"{table}: {n} missing: {row}" for row, n in (expected - found).items()]
    return lines
