"""Alembic's entry: runs the migrations on the app's own engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any

from alembic import context
from alembic.migration import MigrationContext
from flask import current_app
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.jobs import migrations
from app.jobs.migrations import adoption, owner_columns

# Any number, the same for everybody: two starts that migrate at once take turns.
LOCK = 7_203_114
POLL_SECONDS = 0.2

db = current_app.extensions["migrate"].db
TABLES = [*migrations.metadata.sorted_tables, *db.metadata.sorted_tables]
# How long a migration may wait for a table, with everybody who wants the table next behind it.
SET_LOCK_TIMEOUT = text("SET lock_timeout = '2s'")


def write_none_without_changes(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Have `flask db migrate` write no migration where models and tables agree."""
    # `flask db revision` writes an empty one to be filled by hand.
    is_compared = getattr(context.config.cmd_opts, "autogenerate", False)
    if is_compared and all(ops.is_empty() for one in directives for ops in one.upgrade_ops_list):
        directives.clear()
        print("No migration was written: the tables are as the models say.")  # noqa: T201 - for who calls the command


options = {
    **current_app.extensions["migrate"].configure_args,
    "target_metadata": db.metadata,
    "include_object": migrations.include_object,
    # So that none holds its locks while the next runs, and none waits long for them.
    "transaction_per_migration": True,
    "process_revision_directives": write_none_without_changes,
    "on_version_apply": lambda ctx, **_: ctx.impl.execute(SET_LOCK_TIMEOUT),
}


def run_offline() -> None:
    """Print the SQL instead of running it (`flask db upgrade --sql`)."""
    context.configure(url=str(db.engine.url), literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    with db.engine.connect() as connection, turn(connection):
        refuse_what_does_not_fit(connection)
        connection.execute(SET_LOCK_TIMEOUT)
        connection.commit()
        context.configure(connection=connection, **options)
        with patience():
            with context.begin_transaction():
                context.run_migrations()
            connection.execute(SET_LOCK_TIMEOUT)
            owner_columns.follow(connection, TABLES)
            connection.commit()


def refuse_what_does_not_fit(connection: Connection) -> None:
    """Say what stands against an upgrade of the database as it is, before anything is changed."""
    found = owner_columns.problems(connection, TABLES)
    if MigrationContext.configure(connection).get_current_revision() is None:
        found = [*adoption.problems(connection, TABLES), *found]
    connection.rollback()
    if found:
        said = "".join(f"\n  {problem}" for problem in found)
        raise SystemExit(f"Error: nothing was changed, as the database cannot be upgraded:{said}")


@contextmanager
def patience() -> Iterator[None]:
    """Say in one line that a table is in use: what was migrated until then stays."""
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        raise SystemExit(
            f"Error: {str(error.orig).strip()}: a long transaction is using the table; "
            "run `flask db upgrade` again when it has ended"
        ) from error


@contextmanager
def turn(connection: Connection) -> Iterator[None]:
    """Hold the lock over all transactions: an index that is built concurrently needs its own.

    Asked for again and again, as one who waits inside a statement would have that index wait.
    """
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
        connection.rollback()
        sleep(POLL_SECONDS)
    connection.rollback()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
        connection.rollback()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
