"""Count how often a webhook came again."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade():
    # A constant default is kept beside the table: no row is written.
    repeats = sa.Column("repeats", sa.Integer(), server_default=sa.text("0"), nullable=False)
    op.add_column("webhook_events", repeats)
    op.add_column("webhook_events", sa.Column("repeated_at", sa.DateTime(timezone=True)))


def downgrade():
    op.drop_column("webhook_events", "repeated_at")
    op.drop_column("webhook_events", "repeats")
