"""Store the organization of each Stripe customer, so that the order of events does not matter.

Safe under load: the table is made first, and filled without keeping anybody from writing. Safe to
repeat, and to run beside the code before it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Whose a customer is by now it stays: no event is older than -1.
FROM_ORGANIZATIONS = """
    INSERT INTO stripe_customers (stripe_customer_id, organization_id, named_at, named_by)
    SELECT stripe_customer_id, id, -1, '' FROM organizations WHERE stripe_customer_id IS NOT NULL
    ON CONFLICT DO NOTHING
"""
FROM_SUBSCRIPTIONS = """
    INSERT INTO stripe_customers (stripe_customer_id, organization_id, named_at, named_by)
    SELECT DISTINCT ON (stripe_customer_id) stripe_customer_id, organization_id, -1, ''
      FROM stripe_subscriptions
     WHERE stripe_customer_id IS NOT NULL AND organization_id IS NOT NULL
     ORDER BY stripe_customer_id, created_at, stripe_subscription_id
    ON CONFLICT DO NOTHING
"""


def upgrade():
    op.create_table(
        "stripe_customers",
        sa.Column("stripe_customer_id", sa.String(length=255), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("named_at", sa.BigInteger(), nullable=False),
        sa.Column("named_by", sa.String(length=255), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_stripe_customers_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("stripe_customer_id", name=op.f("pk_stripe_customers")),
        if_not_exists=True,
    )
    op.create_index(
        "idx_stripe_customers_organization_id",
        "stripe_customers",
        ["organization_id"],
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        op.execute(FROM_ORGANIZATIONS)
        op.execute(FROM_SUBSCRIPTIONS)


def downgrade():
    op.drop_table("stripe_customers")
