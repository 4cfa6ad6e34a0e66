"""Upgrade the job tables to revision 0013: steps of a large workflow begin in time."""

from alembic import op

from app.jobs import migrations

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_context().as_sql:
        with op.get_context().autocommit_block():
            op.execute(migrations.sql("0013", since="0012").rstrip(";\n"))
        return
    with op.get_context().autocommit_block():
        # Waiting for others' transactions holds up nobody here, and so need not end soon.
        op.execute("SET lock_timeout = 0")
        migrations.prepare(op.get_bind(), "0013")
        op.execute("SET lock_timeout = '2s'")
    migrations.upgrade(op.get_bind(), "0013")


def downgrade():
    migrations.downgrade(op.get_bind(), "0012")
