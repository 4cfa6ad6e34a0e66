"""Upgrade the job tables to revision 0010: what batches lacked."""

from alembic import op

from app.jobs import migrations

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_context().as_sql:
        op.execute(migrations.sql("0010", since="0009").rstrip(";\n"))
        return
    migrations.upgrade(op.get_bind(), "0010")


def downgrade():
    migrations.downgrade(op.get_bind(), "0009")
