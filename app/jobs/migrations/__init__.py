"""The tables of jobs, made and changed by migrations that the extension ships.

`flask jobs db upgrade` runs them; or a migration of the app's own history does:

    from app.jobs import migrations

    def upgrade():
        migrations.upgrade(op.get_bind(), "0001")

They keep their version in their own table, so an app's history may be of any form. An app that
has Alembic compare its models with its tables tells it that these are not its own:

    Migrate(app, db, include_object=migrations.include_object)
"""

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from ..errors import MigrationRefused
from ..table import adoption, owner_columns
from ..table.audit import JobAudit
from ..table.db import Base
from ..table.memory import DeletedJob, SpentToken
from ..table.models import JobExecution
from ..values.ids import ID_TYPES, id_type

if TYPE_CHECKING:
    from alembic.migration import MigrationContext

__all__ = [
    "HEAD",
    "VERSION_TABLE",
    "adoption",
    "current",
    "include_object",
    "metadata",
    "owner_columns",
    "sql",
    "upgrade",
]

VERSION_TABLE = "jobs_alembic_version"
MODELS = (JobExecution, JobAudit, DeletedJob, SpentToken)

#: The tables as the code knows them.
metadata = Base.metadata

_HERE = Path(__file__).parent
#: The newest revision; they are numbered.
HEAD = max(path.stem[:4] for path in (_HERE / "versions").glob("[0-9]*.py"))

# Any number, the same for everybody: two starts that upgrade at once take turns.
_LOCK = text("SELECT pg_advisory_xact_lock(7203115)")
_VERSION = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - our own name
_FOUND = text("SELECT to_regclass(:name) IS NOT NULL")
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
    if current(connection) is None:
        _make_way(connection)
    _run(_context(revision, connection=connection))
    _follow_id_type(connection)


def current(connection: Connection) -> str | None:
    """Return the revision that a database is at; None before the first."""
    if not connection.scalar(_FOUND, {"name": VERSION_TABLE}):
        return None
    version: str | None = connection.scalar(_VERSION)
    return version


def sql(revision: str = HEAD) -> str:
    """Return the statements that make the tables in a database that has none of them."""
    written = StringIO()
    _run(_context(revision, dialect_name="postgresql", written=written))
    return written.getvalue()


def include_object(
    _object: Any, name: str | None, type_: str, _reflected: object, _compare_to: Any
) -> bool:
    """Tell Alembic's autogenerate to leave the tables of jobs alone: they are not the app's."""
    return type_ != "table" or (name not in metadata.tables and name != VERSION_TABLE)


def _make_way(connection: Connection) -> None:
    """Adopt the starter's table, see that no other is in the way, or leave what is made already."""
    if connection.scalar(_IS_OURS):
        if not connection.scalar(_FOUND, {"name": SpentToken.__tablename__}):
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
    revision: str,
    *,
    connection: Connection | None = None,
    dialect_name: str | None = None,
    written: StringIO | None = None,
) -> "MigrationContext":
    from alembic.migration import MigrationContext  # noqa: PLC0415 - slow, and rarely needed
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    scripts = ScriptDirectory(str(_HERE))
    return MigrationContext.configure(
        connection,
        dialect_name=dialect_name,
        opts={
            "version_table": VERSION_TABLE,
            "as_sql": written is not None,
            "output_buffer": written,
            "fn": lambda at, _: scripts._upgrade_revs(revision, at),  # noqa: SLF001 - as Alembic's own commands do
        },
    )
