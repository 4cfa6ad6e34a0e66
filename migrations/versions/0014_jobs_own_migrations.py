"""Hand the job tables over to the migrations that `app.jobs` ships, which continue from here.

What the history until now has made is what their first revision makes. Where JOBS_SCHEMA names a
schema, they move there first.
"""

from alembic import op
from flask import current_app

from app.jobs import migrations

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade():
    if schema := current_app.config["JOBS_SCHEMA"]:
        op.execute(_moving(schema))
    if op.get_context().as_sql:
        op.execute(migrations.sql("0001").rstrip(";\n"))
    else:
        migrations.upgrade(op.get_bind(), "0001")


def downgrade():
    op.drop_table(migrations.VERSION_TABLE)


def _moving(schema):
    """Return the statement that moves the tables; it makes a schema only where there is none."""
    name = schema.replace("'", "''")
    quoted = '"' + schema.replace('"', '""') + '"'
    moves = " ".join(
        f"ALTER TABLE {table} SET SCHEMA {quoted};"
        for table in ("job_executions", "job_audit", "deleted_jobs", "spent_tokens")
    )
    return (
        f"DO $move$ BEGIN IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '{name}') THEN "
        f"CREATE SCHEMA {quoted}; END IF; {moves} END $move$"
    )
