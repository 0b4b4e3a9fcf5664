"""appservices: the prefix of what follows a restoration."""

import sqlalchemy as sa
from alembic import op

revision = "0003_appservices"
down_revision = "0002_server_meta"
branch_labels = None
depends_on = None
schema = "188593f6e28fa4c9"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    with op.batch_alter_table("appservice_queues", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "next_prefix",
                sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
                nullable=True,
            )
        )
