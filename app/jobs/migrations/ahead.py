"""What a revision does to the indexes of a large table, done before it, while jobs go on.

PostgreSQL builds and drops indexes concurrently, but not in a transaction, and a revision runs in
one. So a revision names them (`BUILT_BEFORE`, `DROPPED_BEFORE`), and does itself what is left. The
columns of an index that are new come first (`ADDED_BEFORE`).
"""

from collections.abc import Iterable, Iterator
from types import ModuleType

from sqlalchemy import Connection, text

from ..table.schema import name_of_schema, quote

#: A new column locks the table for a moment, and whoever comes after it waits as long as it does.
SHORTLY = "2s"
_LOCK_TIMEOUT = text("SELECT current_setting('lock_timeout')")
_WAIT = text("SELECT set_config('lock_timeout', :timeout, false)")
_IS_BROKEN = text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def statements(revisions: Iterable[ModuleType]) -> Iterator[str]:
    """Yield the statements, each of which is a transaction of its own."""
    for revision in revisions:
        yield from _new_columns(revision)
        for name, definition in getattr(revision, "BUILT_BEFORE", {}).items():
            yield (
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name}"
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
        before = connection.scalar(_LOCK_TIMEOUT)
        connection.execute(_WAIT, {"timeout": SHORTLY})
        for statement in _new_columns(revision):
            connection.execute(text(statement))
        connection.execute(_WAIT, {"timeout": before})
        for name in map(_placed, getattr(revision, "BUILT_BEFORE", {})):
            if connection.scalar(_IS_BROKEN, {"name": name}):
                connection.execute(text(f"DROP INDEX CONCURRENTLY {name}"))
        for statement in statements([revision]):
            connection.execute(text(statement))


def _new_columns(revision: ModuleType) -> Iterator[str]:
    for name, kind in getattr(revision, "ADDED_BEFORE", {}).items():
        yield f"ALTER TABLE {_placed('job_executions')} ADD COLUMN IF NOT EXISTS {name} {kind}"


def _placed(name: str) -> str:
    schema = name_of_schema()
    return f"{quote(schema)}.{name}" if schema else name
