"""key_backups: names of versions from other servers."""

import sqlalchemy as sa
from alembic import op

revision = "0032_key_backups"
down_revision = "0031_synapse_import"
branch_labels = None
depends_on = None
schema = "2d6bb20efdbb62a4"
"""The hash of the tables that it leads to."""
additive = True
"""Whether the release before works with them too."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    with op.batch_alter_table("key_backups", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "name",
                sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
                nullable=True,
            )
        )
        batch_op.create_index("ix_key_backups_user_id_name", ["user_id", "name"], unique=False)
