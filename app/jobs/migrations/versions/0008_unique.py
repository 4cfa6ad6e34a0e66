"""Keep what a job is unique by, and for how long an idempotency key holds.

Of a job that is neither, the columns are null, and the index does not have it.
"""

from typing import Any

from alembic.operations import Operations
from sqlalchemy.types import TypeEngine

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

#: What `migrations.prepare` does before, while jobs go on.
ADDED_BEFORE = {
    "unique_key": "text",
    "unique_while": "text",
    "unique_until": "timestamptz",
    "uniqueness": "jsonb",
    "fingerprint": "text",
    "idempotency_until": "timestamptz",
}
INDEX = "uq_job_executions_unique_key"
UNIQUE_BEFORE = {
    INDEX: (
        "(unique_key, (unique_while = 'once more' AND started_at IS NOT NULL))"
        " WHERE unique_key IS NOT NULL"
        " AND (status = 'pending' AND started_at IS NULL"
        " OR unique_while <> 'pending'"
        " AND (status IN ('pending', 'processing') OR status = 'failed' AND dead_at IS NULL)"
        " OR unique_while = 'completed' AND status = 'completed')"
    )
}


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - every revision's arguments
    for name, kind in ADDED_BEFORE.items():
        op.execute(f"ALTER TABLE job_executions ADD COLUMN IF NOT EXISTS {name} {kind}")
    for name, definition in UNIQUE_BEFORE.items():
        op.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {name} ON job_executions {definition}")


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - likewise
    op.execute(f"DROP INDEX {INDEX}")
    for name in ADDED_BEFORE:
        op.execute(f"ALTER TABLE job_executions DROP COLUMN {name}")
