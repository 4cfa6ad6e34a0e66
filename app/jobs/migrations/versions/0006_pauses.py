"""Create the table of pauses, and leave paused jobs out of the indexes of what is to be done."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.types import TypeEngine

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATUS = "idx_job_executions_status"
UNPUBLISHED = "idx_job_executions_unpublished"
PAUSED = "idx_job_executions_paused"

#: What `migrations.prepare` does before, while jobs go on.
ADDED_BEFORE = {"pause": "text"}
BUILT_BEFORE = {
    f"{STATUS}_unpaused": (
        "(status, coalesce(available_at, created_at))"
        " WHERE status IN ('pending', 'processing') AND pause IS NULL"
    ),
    f"{UNPUBLISHED}_unpaused": (
        "(created_at) WHERE status = 'pending' AND published_at IS NULL AND pause IS NULL"
    ),
    PAUSED: (
        "(pause, created_at)"
        " WHERE status = 'pending' AND published_at IS NULL AND pause IS NOT NULL"
    ),
}
#: Also what revision 0003 has prepared, where both run at once.
DROPPED_BEFORE = (STATUS, f"{STATUS}_new", UNPUBLISHED)
OLD = {
    STATUS: (
        "(status, coalesce(available_at, created_at)) WHERE status IN ('pending', 'processing')"
    ),
    UNPUBLISHED: "(created_at) WHERE status = 'pending' AND published_at IS NULL",
}

HAS_COLUMN = sa.text(
    "SELECT EXISTS (SELECT FROM pg_attribute"
    " WHERE attrelid = to_regclass('job_executions') AND attname = 'pause' AND NOT attisdropped)"
)
FOUND = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - as all have it
    op.create_table(
        "job_pauses",
        sa.Column("pause", sa.String(300), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False),
        sa.Column(
            "paused_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("pause", name="pk_job_pauses"),
    )
    # Even `IF NOT EXISTS` waits for everybody who reads the table.
    if op.get_context().as_sql or not op.get_bind().scalar(HAS_COLUMN):
        op.execute("ALTER TABLE job_executions ADD COLUMN IF NOT EXISTS pause text")
    make(op, BUILT_BEFORE)
    for name in OLD:
        op.execute(f"DROP INDEX IF EXISTS {name}")
        op.execute(f"ALTER INDEX {name}_unpaused RENAME TO {name}")


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - likewise
    for name in (STATUS, UNPUBLISHED, PAUSED):
        op.execute(f"DROP INDEX {name}")
    make(op, OLD)
    op.execute("ALTER TABLE job_executions DROP COLUMN pause")
    op.drop_table("job_pauses")


def make(op: Operations, indexes: dict[str, str]) -> None:
    for name, definition in indexes.items():
        is_valid = None
        if not op.get_context().as_sql:
            is_valid = op.get_bind().scalar(FOUND, {"name": name})
        if is_valid is False:  # of a build that was broken off
            op.execute(f"DROP INDEX {name}")
        # Even `IF NOT EXISTS` waits for writers of the table.
        if not is_valid:
            op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON job_executions {definition}")
