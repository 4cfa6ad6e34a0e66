"""Create the tables of the dashboard: who signs in, and what is done to many jobs at once."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)
KEY = "idx_job_executions_idempotency_key"
#: To find a job by its key alone: the unique index begins with the type.
BUILT_BEFORE = {KEY: "USING hash (idempotency_key) WHERE idempotency_key IS NOT NULL"}
FOUND = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:
    create_users(op, owner_id)
    create_operations(op, owner_id)
    # Even `IF NOT EXISTS` waits for writers of the table.
    is_offline = op.get_context().as_sql
    is_valid = None if is_offline else op.get_bind().scalar(FOUND, {"name": KEY})
    if is_valid is False:  # of a build that was broken off
        op.execute(f"DROP INDEX {KEY}")
    if not is_valid:
        op.execute(f"CREATE INDEX IF NOT EXISTS {KEY} ON job_executions {BUILT_BEFORE[KEY]}")


def create_users(op: Operations, owner_id: TypeEngine[Any]) -> None:
    op.create_table(
        "job_users",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("organization_id", owner_id),
        moment("created_at"),
        sa.Column("disabled_at", TIMESTAMP),
        sa.CheckConstraint("role in ('viewer', 'operator', 'admin')", name="ck_job_users_role"),
        sa.PrimaryKeyConstraint("id", name="pk_job_users"),
    )
    op.create_index("uq_job_users_name", "job_users", [sa.text("lower(name)")], unique=True)
    op.create_table(
        "job_user_sessions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("job_user_id", sa.BigInteger(), nullable=False),
        moment("created_at"),
        moment("seen_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_job_user_sessions"),
        sa.ForeignKeyConstraint(
            ["job_user_id"],
            ["job_users.id"],
            name="fk_job_user_sessions_job_user_id_job_users",
            ondelete="CASCADE",
        ),
    )
    op.create_index("idx_job_user_sessions_job_user_id", "job_user_sessions", ["job_user_id"])
    op.create_table(
        "job_sign_in_attempts",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("since", TIMESTAMP, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_job_sign_in_attempts"),
    )
    op.create_index("idx_job_sign_in_attempts_since", "job_sign_in_attempts", ["since"])


def create_operations(op: Operations, owner_id: TypeEngine[Any]) -> None:
    zero = sa.text("'0'")
    op.create_table(
        "job_operations",
        sa.Column("id", sa.BigInteger(), nullable=False),
        moment("created_at"),
        moment("updated_at"),
        sa.Column("ended_at", TIMESTAMP),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("filter", JSONB(), nullable=False),
        sa.Column("options", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("organization_id", owner_id),
        sa.Column("state", sa.String(20), server_default="running", nullable=False),
        *(
            sa.Column(name, sa.Integer(), server_default=zero, nullable=False)
            for name in ("total", "changed", "asked", "waiting")
        ),
        sa.Column("position", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("audit_id", sa.BigInteger()),
        sa.Column("job_id", sa.String(255)),
        sa.CheckConstraint(
            "state in ('running', 'stopped', 'done')", name="ck_job_operations_state"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_job_operations"),
    )
    newest = [sa.text("created_at DESC")]
    op.create_index("idx_job_operations_created_at", "job_operations", newest)


def moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, TIMESTAMP, server_default=sa.text("now()"), nullable=False)


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - every revision's arguments
    op.execute(f"DROP INDEX {KEY}")
    for table in ("job_operations", "job_sign_in_attempts", "job_user_sessions", "job_users"):
        op.drop_table(table)
