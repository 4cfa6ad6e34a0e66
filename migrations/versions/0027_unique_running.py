"""Upgrade the job tables to revision 0012: what tells which job of a key runs."""

from alembic import op

from app.jobs import migrations

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_context().as_sql:
        with op.get_context().autocommit_block():
            op.execute(migrations.sql("0012", since="0011").rstrip(";\n"))
        return
    with op.get_context().autocommit_block():
        # Waiting for others' transactions holds up nobody here, and so need not end soon.
        op.execute("SET lock_timeout = 0")
        migrations.prepare(op.get_bind(), "0012")
        op.execute("SET lock_timeout = '2s'")
    migrations.upgrade(op.get_bind(), "0012")


def downgrade():
    migrations.downgrade(op.get_bind(), "0011")
