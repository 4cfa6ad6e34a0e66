"""Give a job tags, the job that enqueued it, and the log lines of its attempts."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.types import TypeEngine

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: What `migrations.prepare` does before, while jobs go on: none has a default, so no row is
#: written.
ADDED_BEFORE = {"logs": "jsonb", "tags": "text[]", "parent_id": "varchar(255)"}
BUILT_BEFORE = {
    "idx_job_executions_tags": "USING gin (tags) WHERE tags IS NOT NULL",
    "idx_job_executions_parent_id": "USING hash (parent_id) WHERE parent_id IS NOT NULL",
}
HAS = sa.text(
    """
    SELECT count(*) FROM pg_attribute
     WHERE attrelid = to_regclass('job_executions') AND attname = ANY(:names) AND NOT attisdropped
    """
)
FOUND = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - as all have it
    # Even `IF NOT EXISTS` waits for writers of the table.
    has_columns, is_valid = False, None
    if not op.get_context().as_sql:
        has_columns = op.get_bind().scalar(HAS, {"names": list(ADDED_BEFORE)}) == len(ADDED_BEFORE)
    if not has_columns:
        added = [f"ADD COLUMN IF NOT EXISTS {name} {type_}" for name, type_ in ADDED_BEFORE.items()]
        op.execute(f"ALTER TABLE job_executions {', '.join(added)}")
    for name, definition in BUILT_BEFORE.items():
        if not op.get_context().as_sql:
            is_valid = op.get_bind().scalar(FOUND, {"name": name})
        if is_valid is False:  # of a build that was broken off
            op.execute(f"DROP INDEX {name}")
        if not is_valid:
            op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON job_executions {definition}")


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - likewise
    for name in BUILT_BEFORE:
        op.execute(f"DROP INDEX {name}")
    for name in ADDED_BEFORE:
        op.drop_column("job_executions", name)
