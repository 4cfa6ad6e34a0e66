"""What a revision does to a large table, done before it, while jobs go on.

PostgreSQL builds and drops indexes concurrently, but not in a transaction, and a revision runs in
one. So a revision names them (`BUILT_BEFORE`, `UNIQUE_BEFORE`, `DROPPED_BEFORE`), with the columns
that they are of (`ADDED_BEFORE`), and does itself what is left.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType

from sqlalchemy import Connection, text

from ..table.schema import name_of_schema, quote

_IS_BROKEN = text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def statements(revisions: Iterable[ModuleType]) -> Iterator[str]:
    """Yield the statements, each of which is a transaction of its own."""
    for revision in revisions:
        if added := getattr(revision, "ADDED_BEFORE", {}):
            yield _adding(added)
        for kind, name, definition in _built(revision):
            yield (
                f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name}"
                f" ON {_placed('job_executions')} {definition}"
            )
        for name in getattr(revision, "DROPPED_BEFORE", ()):
            yield f"DROP INDEX CONCURRENTLY IF EXISTS {_placed(name)}"


def run(connection: Connection, revisions: Iterable[ModuleType]) -> None:
    """Run the statements; what an earlier run left half built is built anew.

    Args:
        connection: In autocommit.
        revisions: In their order.
    """
    for revision in revisions:
        for name in [_placed(name) for _, name, _ in _built(revision)]:
            if connection.scalar(_IS_BROKEN, {"name": name}):
                connection.execute(text(f"DROP INDEX CONCURRENTLY {name}"))
        for statement in statements([revision]):
            connection.execute(text(statement))


def _built(revision: ModuleType) -> Iterator[tuple[str, str, str]]:
    for attribute, kind in (("BUILT_BEFORE", "INDEX"), ("UNIQUE_BEFORE", "UNIQUE INDEX")):
        for name, definition in getattr(revision, attribute, {}).items():
            yield kind, name, definition


def _adding(columns: Mapping[str, str]) -> str:
    """Return what adds the columns that are missing, or soon gives up: others wait behind it."""
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {name} {type_}" for name, type_ in columns.items())
    alter = f"ALTER TABLE {_placed('job_executions')} {added}"
    return f"DO $$BEGIN PERFORM set_config('lock_timeout', '2s', true); {alter}; END$$"


def _placed(name: str) -> str:
    schema = name_of_schema()
    return f"{quote(schema)}.{name}" if schema else name
