"""Create the tables of what was counted: figures that all processes share, and closed hours."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - every revision's arguments
    op.create_table(
        "job_figures",
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("value", JSONB()),
        sa.Column("at", MOMENT),
        sa.Column("took", sa.Double(), server_default="0", nullable=False),
        sa.Column("claimed_until", MOMENT),
        sa.PrimaryKeyConstraint("name", name="pk_job_figures"),
    )
    # Its rows are written again and again: on the same page, where there is room.
    op.execute("ALTER TABLE job_figures SET (fillfactor = 20)")
    op.create_table(
        "job_buckets",
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("counted_at", MOMENT, nullable=False),
        sa.Column("value", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "seconds", "since", name="pk_job_buckets"),
    )


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - likewise
    op.drop_table("job_buckets")
    op.drop_table("job_figures")
