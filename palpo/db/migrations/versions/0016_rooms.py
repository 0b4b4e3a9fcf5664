"""rooms: rerooted."""

import sqlalchemy as sa
from alembic import op

revision = "0016_rooms"
down_revision = "0015_destinations"
branch_labels = None
depends_on = None
schema = "0fa416fadfe397b3"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    with op.batch_alter_table("rooms", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rerooted", sa.BigInteger(), server_default="0", nullable=False))
