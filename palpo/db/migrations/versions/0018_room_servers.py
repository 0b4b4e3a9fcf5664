"""room_servers: when the last user of a server left."""

import sqlalchemy as sa
from alembic import op

revision = "0018_room_servers"
down_revision = "0017_outside_memberships"
branch_labels = None
depends_on = None
schema = "12d723f18ef6e18f"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    with op.batch_alter_table("room_servers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("left_position", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE room_servers SET left_position = position WHERE joined = 0")
