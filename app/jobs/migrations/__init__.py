"""The tables of jobs, made and changed by migrations that the extension ships.

`flask jobs db upgrade` runs them; or a migration of the app's own history does:

    from app.jobs import migrations

    def upgrade():
        with op.get_context().autocommit_block():
            migrations.prepare(op.get_bind(), "0014")
        migrations.upgrade(op.get_bind(), "0014")

They keep their version in their own table, so an app's history may be of any form.
`autogenerate` has Alembic leave the tables alone when it compares an app's models and database.
"""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, column, select, table, text

from ..errors import MigrationRefused
from ..table import adoption, owner_columns, schema
from ..table.audit import JobAudit
from ..table.batch_models import BatchSlot, JobBatch, JobStep
from ..table.buckets import JobBucket
from ..table.db import Base
from ..table.figures import JobFigure
from ..table.firing_models import JobFiring, JobSchedule
from ..table.marks import Mark, Tally
from ..table.memory import DeletedJob, SpentToken
from ..table.models import JobExecution
from ..table.operations import JobOperation
from ..table.pauses import JobPause
from ..table.people import JobSignInAttempts, JobUser, JobUserSession
from ..values.ids import ID_TYPES, id_type
from . import ahead
from .autogenerate import VERSION_TABLE, include_object, line_to_add

if TYPE_CHECKING:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

__all__ = [
    "HEAD",
    "REVISIONS",
    "VERSION_TABLE",
    "adoption",
    "current",
    "downgrade",
    "include_object",
    "line_to_add",
    "metadata",
    "owner_columns",
    "prepare",
    "sql",
    "upgrade",
]

MODELS = (
    *(JobExecution, JobAudit, DeletedJob, SpentToken, Mark, Tally),
    *(JobUser, JobUserSession, JobSignInAttempts, JobOperation),
    JobPause,
    *(JobBatch, BatchSlot, JobStep),
    *(JobSchedule, JobFiring),
    *(JobBucket, JobFigure),
)

#: The tables as the code knows them.
metadata = Base.metadata

_HERE = Path(__file__).parent
#: They are numbered.
REVISIONS = sorted(path.stem[:4] for path in (_HERE / "versions").glob("[0-9]*.py"))
#: The newest.
HEAD = REVISIONS[-1]

# Any number, the same for everybody: two starts that upgrade at once take turns.
_LOCK = text("SELECT pg_advisory_xact_lock(7203115)")
_IS_OURS = text(
    """
    SELECT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = to_regclass('job_executions') AND attname = 'lease_token')
    """
)


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """Make the tables, or change them, in the transaction of a connection; the caller commits it.

    A table of the TypeScript starter's is adopted, with its rows. What an app's own history made
    before is left as it is. The columns of owners' ids become what JOBS_ID_TYPE says.

    Args:
        connection: To the database that has the jobs.
        revision: Where to stop. A migration names it, so that it does the same for ever.

    Raises:
        MigrationRefused: The database has something in the way; nothing was changed.
    """
    connection.execute(_LOCK)
    at = current(connection)
    if at is None:
        schema.make(connection, metadata.tables)
    with schema.only_here(connection):
        if at is None:
            _make_way(connection)
        # A migration of the app's names its revision for ever; Alembic does not go back to it.
        if at is None or at < revision:
            _run(_context(_steps_up(revision), connection=connection))
        _follow_id_type(connection)


def prepare(connection: Connection, revision: str = HEAD) -> None:
    """Build and drop the indexes of an upgrade that is to follow, while jobs go on.

    Without it, the upgrade keeps everybody from writing while it builds them. Safe to repeat.

    Args:
        connection: In autocommit.
        revision: As for the upgrade.
    """
    at = current(connection)
    if at is not None and at < revision:
        ahead.run(connection, _modules(at, revision))


def downgrade(connection: Connection, revision: str) -> None:
    """Take back what came after a revision, in the transaction of a connection."""
    connection.execute(_LOCK)
    with schema.only_here(connection):
        _run(_context(_steps_down(revision), connection=connection))


def current(connection: Connection) -> str | None:
    """Return the revision that a database is at; None before the first."""
    if not schema.has(connection, VERSION_TABLE):
        return None
    versions = table(VERSION_TABLE, column("version_num"), schema=schema.name_of_schema() or None)
    version: str | None = connection.scalar(select(versions.c.version_num))
    return version


def sql(revision: str = HEAD, *, since: str | None = None) -> str:
    """Return the statements that make the tables in a database that has none of them.

    Args:
        revision: As for the upgrade.
        since: Where the database is instead. Then the first statements are for `prepare`, each of
            them outside of a transaction.
    """
    written = StringIO()
    before = "" if since is None else _ahead_in_sql(since, revision)
    _run(_context(_steps_up(revision), written=written, since=since))
    return before + schema.only_here_in_sql(written.getvalue())


def _ahead_in_sql(since: str, revision: str) -> str:
    return "".join(f"{one};\n\n" for one in ahead.statements(_modules(since, revision)))


def _make_way(connection: Connection) -> None:
    """Adopt the starter's table, see that no other is in the way, or leave what is made already."""
    if connection.scalar(_IS_OURS):
        if not schema.has(connection, SpentToken.__tablename__):
            raise MigrationRefused(
                "job_executions is of an older version: upgrade by the history that made it first"
            )
        return
    if found := adoption.problems(connection, metadata.sorted_tables):
        raise MigrationRefused("nothing was changed: " + "; ".join(found))
    if adoption.is_there(connection):
        adoption.adopt(connection)
        adoption.complete(connection)


def _follow_id_type(connection: Connection) -> None:
    tables = metadata.sorted_tables
    if found := owner_columns.problems(connection, tables):
        raise MigrationRefused("nothing was changed: " + "; ".join(found))
    owner_columns.follow(connection, tables)


def _run(context: "MigrationContext") -> None:
    from alembic.operations import Operations  # noqa: PLC0415 - slow, and rarely needed

    # Given to the revisions instead of Alembic's `op`, which would then be lost to the migration
    # of the app's that called us.
    context.run_migrations(op=Operations(context), owner_id=ID_TYPES[id_type()])


def _context(
    steps: Callable[[Any, Any], Any],
    *,
    connection: Connection | None = None,
    written: StringIO | None = None,
    since: str | None = None,
) -> "MigrationContext":
    from alembic.migration import MigrationContext  # noqa: PLC0415 - slow, and rarely needed

    return MigrationContext.configure(
        connection,
        dialect_name=None if written is None else "postgresql",
        opts={
            "version_table": VERSION_TABLE,
            "as_sql": written is not None,
            "output_buffer": written,
            "starting_rev": since,
            "fn": steps,
        },
    )


def _steps_up(revision: str) -> Callable[[Any, Any], Any]:
    return lambda at, _: _scripts()._upgrade_revs(revision, at)  # noqa: SLF001 - as Alembic's own commands do


def _steps_down(revision: str) -> Callable[[Any, Any], Any]:
    return lambda at, _: _scripts()._downgrade_revs(revision, at)  # noqa: SLF001 - likewise


def _modules(since: str, revision: str) -> list[Any]:
    """Return the revisions after one, in their order."""
    found = _scripts().iterate_revisions(revision, since)
    return [script.module for script in reversed(list(found))]


def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow, and rarely needed

    return ScriptDirectory(str(_HERE))
