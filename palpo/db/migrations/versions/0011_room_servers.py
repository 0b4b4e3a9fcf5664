"""room_servers: which other servers are in rooms."""

import sqlalchemy as sa
from alembic import op

revision = "0011_room_servers"
down_revision = "0010_rooms"
branch_labels = None
depends_on = None
schema = "22211e74826f0f8b"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "room_servers",
        sa.Column(
            "room_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "server_name",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("joined", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room_id", "server_name", name=op.f("pk_room_servers")),
    )
    with op.batch_alter_table("room_servers", schema=None) as batch_op:
        batch_op.create_index("ix_room_servers_server_name", ["server_name"], unique=False)
