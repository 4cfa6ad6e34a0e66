"""Upgrade the job tables to revision 0014: waits of a cancelled workflow come back."""

from alembic import op

from app.jobs import migrations

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_context().as_sql:
        with op.get_context().autocommit_block():
            op.execute(migrations.sql("0014", since="0013").rstrip(";\n"))
        return
    with op.get_context().autocommit_block():
        # Waiting for others' transactions holds up nobody here, and so need not end soon.
        op.execute("SET lock_timeout = 0")
        migrations.prepare(op.get_bind(), "0014")
        op.execute("SET lock_timeout = '2s'")
    migrations.upgrade(op.get_bind(), "0014")


def downgrade():
    migrations.downgrade(op.get_bind(), "0013")
