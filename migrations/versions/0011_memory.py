"""Limit `available_at` to readable dates; remember deleted jobs and used tokens.

Safe under load: the constraint is added without looking at the rows, and then checked without
keeping anybody from writing. Safe to repeat.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAME = "ck_job_executions_available_at"
FIRST, END = "'1970-01-01 00:00:00+00'", "'9000-01-01 00:00:00+00'"
HOLDS = f"available_at >= {FIRST} AND available_at < {END}"

MEND = f"""
    UPDATE job_executions
       SET available_at = CASE WHEN available_at >= {END} THEN timestamptz {END} - interval '1 day'
                               ELSE timestamptz {FIRST} END
     WHERE NOT ({HOLDS})
"""  # noqa: S608 - the only values in the text are this module's


def upgrade():
    op.create_table(
        "deleted_jobs",
        sa.Column("job_id", sa.String(length=255), nullable=False),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_deleted_jobs")),
        if_not_exists=True,
    )
    op.create_index(
        "idx_deleted_jobs_deleted_at", "deleted_jobs", ["deleted_at"], if_not_exists=True
    )
    op.create_table(
        "spent_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spent_tokens")),
        if_not_exists=True,
    )
    op.create_index(
        "idx_spent_tokens_expires_at", "spent_tokens", ["expires_at"], if_not_exists=True
    )
    op.execute(f"ALTER TABLE job_executions DROP CONSTRAINT IF EXISTS {NAME}")
    op.execute(f"ALTER TABLE job_executions ADD CONSTRAINT {NAME} CHECK ({HOLDS}) NOT VALID")
    with op.get_context().autocommit_block():
        # One that is due beyond the calendar is refused by QStash, and so is dead with a reason;
        # one that was due before it is due.
        op.execute(MEND)
        op.execute(f"ALTER TABLE job_executions VALIDATE CONSTRAINT {NAME}")


def downgrade():
    op.execute(f"ALTER TABLE job_executions DROP CONSTRAINT IF EXISTS {NAME}")
    op.drop_table("spent_tokens")
    op.drop_table("deleted_jobs")
