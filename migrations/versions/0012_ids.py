"""Accept job ids of any form, as other producers have, and a status as long as the starter's.

Changing the type writes the tables anew: see "Updates" in docs/deploy.md for what that means.
"""

from alembic import op
from sqlalchemy import text

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NO_UUID = "'^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'"


def upgrade():
    op.execute(
        "ALTER TABLE job_executions ALTER job_id TYPE varchar(255) USING job_id::text,"
        " ALTER status TYPE varchar(50)"
    )
    for table in ("artifacts", "webhook_events"):
        op.execute(f"ALTER TABLE {table} ALTER job_id TYPE varchar(255) USING job_id::text")


def downgrade():
    found = op.get_bind().execute(
        text(f"SELECT job_id FROM job_executions WHERE job_id !~ {NO_UUID} LIMIT 1")  # noqa: S608 - our own pattern
    )
    if (job_id := found.scalar()) is not None:
        raise SystemExit(
            f"Error: job {job_id!r} has an id that is no UUID, which the older table cannot hold:"
            " delete such jobs first"
        )
    for table in ("artifacts", "webhook_events"):
        op.execute(f"ALTER TABLE {table} ALTER job_id TYPE uuid USING job_id::uuid")
    op.execute(
        "ALTER TABLE job_executions ALTER job_id TYPE uuid USING job_id::uuid,"
        " ALTER status TYPE varchar(20)"
    )
