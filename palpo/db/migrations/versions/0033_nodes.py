"""nodes: what no state has is set aside."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0033_nodes"
down_revision = "0032_key_backups"
branch_labels = None
depends_on = None
schema = "e9cb503ffd0f507e"
"""The hash of the tables that it leads to."""
additive = True
"""Whether the release before works with them too."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    with op.batch_alter_table("orphaned_nodes", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "node",
                sa.LargeBinary()
                .with_variant(mysql.LONGBLOB(), "mariadb")
                .with_variant(mysql.LONGBLOB(), "mysql"),
                nullable=True,
            )
        )
