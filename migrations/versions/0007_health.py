"""Add indexes that answer the health queries without the table.

Built concurrently: jobs go on while a large table gets them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES = {
    "idx_job_executions_completed_at": ("completed_at DESC", "completed_at IS NOT NULL"),
    "idx_job_executions_due": ("coalesce(available_at, created_at)", "status = 'pending'"),
    "idx_job_executions_dead": (
        "created_at DESC",
        "status = 'failed' AND dead_at IS NOT NULL",
    ),
}


def upgrade():
    with op.get_context().autocommit_block():
        for name, (column, condition) in INDEXES.items():
            # What an earlier, interrupted run left behind may be half built.
            op.execute(sa.text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
            op.create_index(
                name,
                "job_executions",
                [sa.literal_column(column)],
                postgresql_where=sa.text(condition),
                postgresql_concurrently=True,
            )


def downgrade():
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.drop_index(name, table_name="job_executions", postgresql_concurrently=True)
