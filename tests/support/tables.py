"""All tables of the app and its jobs."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.db import Base, db
from app.jobs import migrations


def table_names() -> list[str]:
    tables = [*Base.metadata.sorted_tables, *migrations.metadata.sorted_tables]
    return [table.name for table in tables]


def differences() -> list[Any]:
    """Return where the database is not what the models say."""
    both: Any = [Base.metadata, migrations.metadata]
    with db.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), both)
    # The samples' own table; and what keeps the version of the tables of jobs, which no model has.
    known = ("'effects'", migrations.VERSION_TABLE)
    return [one for one in found if not any(name in str(one) for name in known)]
