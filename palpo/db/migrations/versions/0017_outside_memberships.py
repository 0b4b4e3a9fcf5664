"""outside_memberships: when each came."""

import sqlalchemy as sa
from alembic import op

revision = "0017_outside_memberships"
down_revision = "0016_rooms"
branch_labels = None
depends_on = None
schema = "39f6fd6c32d2badf"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    with op.batch_alter_table("outside_memberships", schema=None) as batch_op:
        batch_op.add_column(sa.Column("position", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.create_index("ix_outside_memberships_position", ["position"], unique=False)
