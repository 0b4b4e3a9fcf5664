"""rooms: gaps and the past."""

import sqlalchemy as sa
from alembic import op

revision = "0010_rooms"
down_revision = "0009_media"
branch_labels = None
depends_on = None
schema = "02d6876c74147c4f"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "backward_extremities",
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
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("tried_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room_id", "event_id", name=op.f("pk_backward_extremities")),
    )
    op.create_table(
        "event_edges",
        sa.Column(
            "prev_event_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "event_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "room_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("prev_event_id", "event_id", name=op.f("pk_event_edges")),
    )
    with op.batch_alter_table("event_edges", schema=None) as batch_op:
        batch_op.create_index("ix_event_edges_room_id_place", ["room_id", "place"], unique=False)

    op.create_table(
        "room_roots",
        sa.Column(
            "room_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "state_root",
            sa.LargeBinary(length=16)
            .with_variant(sa.VARBINARY(length=16), "mariadb")
            .with_variant(sa.VARBINARY(length=16), "mysql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("room_id", "position", name=op.f("pk_room_roots")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("after_gap", sa.SmallInteger(), server_default="0", nullable=False))

    with op.batch_alter_table("rooms", schema=None) as batch_op:
        batch_op.add_column(sa.Column("floor", sa.BigInteger(), server_default="0", nullable=False))
