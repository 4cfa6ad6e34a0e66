"""Create the tables of marks and tallies, as the second revision of `app.jobs` does."""

from alembic import op

from app.jobs import migrations

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_context().as_sql:
        op.execute(migrations.sql("0002", since="0001").rstrip(";\n"))
    else:
        migrations.upgrade(op.get_bind(), "0002")


def downgrade():
    migrations.downgrade(op.get_bind(), "0001")
