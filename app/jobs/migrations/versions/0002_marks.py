"""Create the tables of marks and tallies: when the last sweep was, and what no row tells of."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - every revision's arguments
    op.create_table(
        "job_marks",
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_job_marks"),
    )
    op.create_table(
        "job_tallies",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "kind", "name", name="pk_job_tallies"),
    )


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - likewise
    op.drop_table("job_tallies")
    op.drop_table("job_marks")
