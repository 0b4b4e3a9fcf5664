"""oauth: clients that users have allowed."""

import sqlalchemy as sa
from alembic import op

revision = "0034_oauth"
down_revision = "0033_nodes"
branch_labels = None
depends_on = None
schema = "9cc2d87b8a579d2e"
"""The hash of the tables that it leads to."""
additive = True
"""Whether the release before works with them too."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "oauth_consents",
        sa.Column(
            "user_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "client_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("granted_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "client_id", name=op.f("pk_oauth_consents")),
    )
    with op.batch_alter_table("oauth_consents", schema=None) as batch_op:
        batch_op.create_index("ix_oauth_consents_client_id", ["client_id"], unique=False)
        batch_op.create_index("ix_oauth_consents_user_id_granted_ts", ["user_id", "granted_ts"], unique=False)
