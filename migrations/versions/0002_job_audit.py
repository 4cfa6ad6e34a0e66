"""Add the audit log of manual actions, and an index for jobs that wait for a retry."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "job_audit",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("filter", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("job_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "job_ids",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_audit")),
    )
    op.create_index(
        "idx_job_audit_created_at",
        "job_audit",
        [sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_index(
        "idx_job_executions_retrying",
        "job_executions",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("status = 'failed' AND dead_at IS NULL"),
    )


def downgrade():
    op.drop_index("idx_job_executions_retrying", table_name="job_executions")
    op.drop_table("job_audit")
