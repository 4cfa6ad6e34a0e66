"""Add the checkpoint of a job that takes more than one delivery."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "job_executions", sa.Column("legs", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column(
        "job_executions",
        sa.Column("checkpoint", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )


def downgrade():
    op.drop_column("job_executions", "checkpoint")
    op.drop_column("job_executions", "legs")
