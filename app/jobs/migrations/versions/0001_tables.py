"""Create the job tables, unless the app's migrations or the starter already have."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FOUND = sa.text("SELECT to_regclass('job_executions') IS NOT NULL")
#: What is made last is there.
WHOLE = sa.text("SELECT to_regclass('idx_spent_tokens_expires_at') IS NOT NULL")
TIMESTAMP = sa.DateTime(timezone=True)
NEWEST = (sa.text("created_at DESC"), sa.text("id DESC"))
EMPTY_OBJECT, EMPTY_LIST = sa.text("'{}'::jsonb"), sa.text("'[]'::jsonb")


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:
    # Even `IF NOT EXISTS` would wait for writers of the tables.
    if not op.get_context().as_sql and op.get_bind().scalar(WHOLE):
        return
    create_job_executions(op, owner_id)
    create_others(op)
    for name, columns, options in INDEXES:
        table = "job_executions" if "_job_executions_" in name else OTHERS[name]
        op.create_index(name, table, columns, if_not_exists=True, **options)


def create_job_executions(op: Operations, owner_id: TypeEngine[Any]) -> None:
    # `IF NOT EXISTS` looks at the first schema of the search path alone.
    if not op.get_context().as_sql and op.get_bind().scalar(FOUND):
        return
    op.create_table(
        "job_executions",
        *columns_that_stay(owner_id),
        *columns_that_change(),
        sa.CheckConstraint(
            "status in ('pending', 'processing', 'completed', 'failed', 'cancelled')",
            name="ck_job_executions_status",
        ),
        sa.CheckConstraint(
            "available_at >= '1970-01-01 00:00:00+00' AND available_at < '9000-01-01 00:00:00+00'",
            name="ck_job_executions_available_at",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_job_executions"),
        sa.UniqueConstraint("job_id", name="uq_job_executions_job_id"),
        if_not_exists=True,
    )


def columns_that_stay(owner_id: TypeEngine[Any]) -> list[sa.Column[Any]]:
    """Return what is written once, or rarely again.

    These come first: of a row's new version on the same page, PostgreSQL logs only what is between
    the first and the last byte that changed.
    """
    return [
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.String(255), nullable=False),
        sa.Column("job_type", sa.String(100), nullable=False),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("options", JSONB(), server_default=EMPTY_OBJECT, nullable=False),
        sa.Column("user_id", owner_id),
        sa.Column("organization_id", owner_id),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.Column("available_at", TIMESTAMP),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("schedule_id", sa.Text()),
        sa.Column("queue", sa.Text()),
        sa.Column("max_retries", sa.Integer()),
        sa.Column("retry_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reschedules", sa.Integer(), server_default="0", nullable=False),
        sa.Column("legs", sa.Integer(), server_default="0", nullable=False),
    ]


def columns_that_change() -> list[sa.Column[Any]]:
    return [
        sa.Column("message_id", sa.Text()),
        sa.Column("published_at", TIMESTAMP),
        sa.Column("status", sa.String(50), server_default="pending", nullable=False),
        sa.Column("updated_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.Column("started_at", TIMESTAMP),
        sa.Column("completed_at", TIMESTAMP),
        sa.Column("lease_expires_at", TIMESTAMP),
        sa.Column("lease_token", sa.Uuid(as_uuid=False)),
        sa.Column("dead_at", TIMESTAMP),
        sa.Column("cancelled_at", TIMESTAMP),
        sa.Column("attempts", JSONB(), server_default=EMPTY_LIST, nullable=False),
        sa.Column("result", JSONB()),
        sa.Column("error", sa.Text()),
        sa.Column("progress", JSONB()),
        sa.Column("checkpoint", JSONB()),
    ]


def create_others(op: Operations) -> None:
    op.create_table(
        "job_audit",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("filter", JSONB(), nullable=False),
        sa.Column("job_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("job_ids", JSONB(), server_default=EMPTY_LIST, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_audit"),
        if_not_exists=True,
    )
    op.create_table(
        "deleted_jobs",
        sa.Column("job_id", sa.String(255), nullable=False),
        sa.Column("deleted_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_deleted_jobs"),
        if_not_exists=True,
    )
    op.create_table(
        "spent_tokens",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(255), nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_spent_tokens"),
        if_not_exists=True,
    )


def where(condition: str, **options: Any) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), **options}


INDEXES: Sequence[tuple[str, Sequence[Any], dict[str, Any]]] = (
    ("idx_job_executions_status", ["status"], {}),
    ("idx_job_executions_created_at", NEWEST, {}),
    ("idx_job_executions_status_created", ["status", *NEWEST], {}),
    ("idx_job_executions_type_created", ["job_type", *NEWEST], {}),
    ("idx_job_executions_user_id", ["user_id", *NEWEST], where("user_id IS NOT NULL")),
    (
        "idx_job_executions_organization_id",
        ["organization_id", *NEWEST],
        where("organization_id IS NOT NULL"),
    ),
    ("idx_job_executions_schedule_id", ["schedule_id", *NEWEST], where("schedule_id IS NOT NULL")),
    ("idx_job_executions_error", NEWEST, where("error IS NOT NULL")),
    (
        "idx_job_executions_message_id",
        ["message_id"],
        where("message_id IS NOT NULL", postgresql_using="hash"),
    ),
    (
        "uq_job_executions_idempotency_key",
        ["job_type", "organization_id", "idempotency_key"],
        where("idempotency_key IS NOT NULL", unique=True, postgresql_nulls_not_distinct=True),
    ),
    (
        "idx_job_executions_unpublished",
        ["created_at"],
        where("status = 'pending' AND published_at IS NULL"),
    ),
    ("idx_job_executions_processing", ["lease_expires_at"], where("status = 'processing'")),
    (
        "idx_job_executions_retrying",
        ["created_at"],
        where("status = 'failed' AND dead_at IS NULL"),
    ),
    (
        "idx_job_executions_completed_at",
        [sa.text("completed_at DESC")],
        where("completed_at IS NOT NULL"),
    ),
    (
        "idx_job_executions_due",
        [sa.text("coalesce(available_at, created_at)")],
        where("status = 'pending'"),
    ),
    (
        "idx_job_executions_dead",
        [sa.text("created_at DESC")],
        where("status = 'failed' AND dead_at IS NOT NULL"),
    ),
    ("idx_job_audit_created_at", [sa.text("created_at DESC")], {}),
    (
        "idx_job_audit_job_ids",
        ["job_ids"],
        {"postgresql_using": "gin", "postgresql_ops": {"job_ids": "jsonb_path_ops"}},
    ),
    ("idx_deleted_jobs_deleted_at", ["deleted_at"], {}),
    ("idx_spent_tokens_expires_at", ["expires_at"], {}),
)
OTHERS = {
    "idx_job_audit_created_at": "job_audit",
    "idx_job_audit_job_ids": "job_audit",
    "idx_deleted_jobs_deleted_at": "deleted_jobs",
    "idx_spent_tokens_expires_at": "spent_tokens",
}
