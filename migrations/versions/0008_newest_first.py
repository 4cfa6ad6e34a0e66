"""Add indexes, newest first, for every filter of the list of jobs, and one for the audit log.

Safe under load: indexes are built and dropped concurrently, which waits for others and lets nobody
wait. Safe to repeat: what an earlier run finished is kept, what it left half built is built anew.
"""

from alembic import context, op
from sqlalchemy import text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NEWEST = "created_at DESC, id DESC"
# As PostgreSQL writes them, so that they can be compared with what is there.
NEW = {
    "idx_job_executions_created_at": f"btree ({NEWEST})",
    "idx_job_executions_status_created": f"btree (status, {NEWEST})",
    "idx_job_executions_type_created": f"btree (job_type, {NEWEST})",
    "idx_job_executions_user_id": f"btree (user_id, {NEWEST}) WHERE (user_id IS NOT NULL)",
    "idx_job_executions_organization_id": (
        f"btree (organization_id, {NEWEST}) WHERE (organization_id IS NOT NULL)"
    ),
    "idx_job_executions_schedule_id": (
        f"btree (schedule_id, {NEWEST}) WHERE (schedule_id IS NOT NULL)"
    ),
    "idx_job_executions_error": f"btree ({NEWEST}) WHERE (error IS NOT NULL)",
    "idx_job_executions_message_id": "hash (message_id) WHERE (message_id IS NOT NULL)",
    "idx_job_audit_job_ids": "gin (job_ids jsonb_path_ops)",
}
OLD = {
    "idx_job_executions_created_at": "btree (created_at DESC)",
    "idx_job_executions_status_created": "btree (status, created_at DESC)",
    "idx_job_executions_user_id": "btree (user_id)",
    "idx_job_executions_organization_id": "btree (organization_id)",
}

FOUND = text(
    """
    SELECT pg_get_indexdef(indexrelid) LIKE '% USING ' || :definition AND indisvalid
      FROM pg_index WHERE indexrelid = to_regclass(:name)
    """
)


def upgrade():
    make(NEW)


def downgrade():
    make(OLD)
    with op.get_context().autocommit_block():
        for name in NEW.keys() - OLD.keys():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def make(definitions):
    """Have these indexes; one takes the place of an older of its name when it is built."""
    with op.get_context().autocommit_block():
        # Waiting for others' transactions holds up nobody here, and so need not end soon.
        op.execute("SET lock_timeout = 0")
        for name, definition in definitions.items():
            if not exists(name, definition):
                build(f"{name}_new", definition)
                op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
                op.execute(f"ALTER INDEX {name}_new RENAME TO {name}")


def build(name, definition):
    if not exists(name, definition):
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        table = "job_audit" if "audit" in name else "job_executions"
        op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} USING {definition}")


def exists(name, definition):
    if context.is_offline_mode():
        return False
    given = {"name": name, "definition": definition}
    return bool(op.get_bind().execute(FOUND, given).scalar())
