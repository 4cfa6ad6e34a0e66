"""Create the tables of schedules with rules and of their firings; note when a job was due."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

#: What `migrations.prepare` does before, while jobs go on.
ADDED_BEFORE = {"scheduled_for": "timestamptz", "put_backs": "integer DEFAULT 0 NOT NULL"}
INDEX = "idx_job_executions_schedule_active"
BUILT_BEFORE = {
    INDEX: (
        "(schedule_id) WHERE schedule_id IS NOT NULL AND (status IN ('pending', 'processing')"
        " OR (status = 'failed' AND dead_at IS NULL))"
    )
}

MOMENT = sa.DateTime(timezone=True)


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - as all have it
    for name, kind in ADDED_BEFORE.items():
        op.execute(f"ALTER TABLE job_executions ADD COLUMN IF NOT EXISTS {name} {kind}")
    for name, definition in BUILT_BEFORE.items():
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON job_executions {definition}")
    op.create_table(
        "job_schedules",
        sa.Column("schedule_id", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("rules", JSONB(), nullable=False),
        sa.Column("options", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("accounted_until", MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("schedule_id", name="pk_job_schedules"),
    )
    op.create_table(
        "job_firings",
        sa.Column("schedule_id", sa.Text(), nullable=False),
        sa.Column("scheduled_for", MOMENT, nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("job_id", sa.String(255)),
        sa.Column("reason", sa.Text()),
        sa.Column("noted_at", MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("schedule_id", "scheduled_for", name="pk_job_firings"),
    )
    op.create_index("idx_job_firings_noted_at", "job_firings", ["noted_at"])


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - likewise
    op.drop_table("job_firings")
    op.drop_table("job_schedules")
    op.execute(f"DROP INDEX {INDEX}")
    for name in ADDED_BEFORE:
        op.execute(f"ALTER TABLE job_executions DROP COLUMN {name}")
