"""Hand the job tables over to the migrations that `app.jobs` ships, which continue from here.

What the history until now has made is what their first revision makes.
"""

from alembic import op

from app.jobs import migrations

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_context().as_sql:
        op.execute(migrations.sql("0001").rstrip(";\n"))
    else:
        migrations.upgrade(op.get_bind(), "0001")


def downgrade():
    op.drop_table(migrations.VERSION_TABLE)
