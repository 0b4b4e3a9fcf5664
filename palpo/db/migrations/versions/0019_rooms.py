"""rooms: partial state."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0019_rooms"
down_revision = "0018_room_servers"
branch_labels = None
depends_on = None
schema = "a68b5573c24a6091"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "partial_rooms",
        sa.Column(
            "room_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "event_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(
            "via",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "servers",
            sa.LargeBinary()
            .with_variant(mysql.LONGBLOB(), "mariadb")
            .with_variant(mysql.LONGBLOB(), "mysql"),
            nullable=False,
        ),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("next_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room_id", name=op.f("pk_partial_rooms")),
    )
    with op.batch_alter_table("partial_rooms", schema=None) as batch_op:
        batch_op.create_index("ix_partial_rooms_next_ts", ["next_ts"], unique=False)

    with op.batch_alter_table("rooms", schema=None) as batch_op:
        batch_op.add_column(sa.Column("whole_from", sa.BigInteger(), server_default="0", nullable=False))
