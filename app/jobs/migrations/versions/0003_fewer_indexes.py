"""Have fewer indexes to write at each change of a job, and room for its next version.

One index of the jobs that wait or run takes the place of three: it is small, as what has ended is
not in it.
"""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.types import TypeEngine

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATUS, NEW = "idx_job_executions_status", "idx_job_executions_status_new"
OLD = {
    STATUS: "(status)",
    "idx_job_executions_due": "(coalesce(available_at, created_at)) WHERE status = 'pending'",
    "idx_job_executions_processing": "(lease_expires_at) WHERE status = 'processing'",
}
#: What `migrations.prepare` does before, while jobs go on.
BUILT_BEFORE = {
    NEW: ("(status, coalesce(available_at, created_at)) WHERE status IN ('pending', 'processing')"),
}
DROPPED_BEFORE = tuple(OLD)
#: What takes its place in revision 0006: where both are prepared, this one is not built.
FOLLOWING = "idx_job_executions_status_unpaused"

# By PostgreSQL's own settings, a fifth of a large table would be dead rows before it is vacuumed.
STORAGE = {
    "fillfactor": "70",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
}
FOUND = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - as all have it
    is_needed = op.get_context().as_sql or not op.get_bind().scalar(FOUND, {"name": FOLLOWING})
    if is_needed:
        make(op, BUILT_BEFORE)
    for name in OLD:
        op.execute(f"DROP INDEX IF EXISTS {name}")
    if is_needed:
        op.execute(f"ALTER INDEX {NEW} RENAME TO {STATUS}")
    op.execute(f"ALTER TABLE job_executions SET ({', '.join(map(' = '.join, STORAGE.items()))})")


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - likewise
    op.execute(f"ALTER TABLE job_executions RESET ({', '.join(STORAGE)})")
    op.execute(f"DROP INDEX {STATUS}")
    make(op, OLD)


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
