"""Create job_executions, or adopt the starter's table."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

from app.jobs.migrations import adoption

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


INDEXES = (
    "created_at",
    "organization_id",
    "processing",
    "status",
    "status_created",
    "unpublished",
    "user_id",
)


def upgrade():
    if not context.is_offline_mode() and adoption.is_there(op.get_bind()):
        adoption.adopt(op.get_bind())
        for name in INDEXES:
            op.execute(f"DROP INDEX IF EXISTS idx_job_executions_{name}")
    else:
        create_table()
    create_indexes()


def create_table():
    op.create_table(
        "job_executions",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("job_type", sa.String(length=100), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "options",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("organization_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("schedule_id", sa.Text(), nullable=True),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column("max_retries", sa.Integer(), nullable=True),
        sa.Column("retry_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reschedules", sa.Integer(), server_default="0", nullable=False),
        # What changes comes last: then PostgreSQL logs less of each change.
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(length=20), server_default="pending", nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "attempts",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("progress", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "status in ('pending', 'processing', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_job_executions_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_executions")),
        sa.UniqueConstraint("job_id", name=op.f("uq_job_executions_job_id")),
    )


def create_indexes():
    op.create_index(
        "idx_job_executions_created_at",
        "job_executions",
        [sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_index(
        "idx_job_executions_organization_id", "job_executions", ["organization_id"], unique=False
    )
    op.create_index(
        "idx_job_executions_processing",
        "job_executions",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'processing'"),
    )
    op.create_index("idx_job_executions_status", "job_executions", ["status"], unique=False)
    op.create_index(
        "idx_job_executions_status_created",
        "job_executions",
        ["status", sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_index(
        "idx_job_executions_unpublished",
        "job_executions",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending' AND published_at IS NULL"),
    )
    op.create_index("idx_job_executions_user_id", "job_executions", ["user_id"], unique=False)
    op.create_index(
        "uq_job_executions_idempotency_key",
        "job_executions",
        ["job_type", "organization_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_nulls_not_distinct=True,
    )


def downgrade():
    op.drop_table("job_executions")
