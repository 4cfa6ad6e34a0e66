"""Alembic's entry: runs the migrations on the app's own engine."""

from alembic import context
from flask import current_app
from sqlalchemy import text

# Any number, the same for everybody: two starts that migrate at once take turns.
LOCK = 7_203_114

db = current_app.extensions["migrate"].db
options = {
    **current_app.extensions["migrate"].configure_args,
    "target_metadata": db.metadata,
}


def run_offline() -> None:
    """Print the SQL instead of running it (`flask db upgrade --sql`)."""
    context.configure(url=str(db.engine.url), literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    with db.engine.connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
