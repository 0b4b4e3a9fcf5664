"""leftovers: media of deleted events, and nodes of no state."""

import sqlalchemy as sa
from alembic import op

revision = "0029_leftovers"
down_revision = "0028_sign_on"
branch_labels = None
depends_on = None
schema = "ece293f706b0a3ab"
"""The hash of the tables that it leads to."""
additive = True
"""Whether the release before works with them too."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "leftover_media",
        sa.Column(
            "origin",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "media_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("looked_for", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "media_id", name=op.f("pk_leftover_media")),
    )
    op.create_table(
        "orphaned_nodes",
        sa.Column(
            "hash",
            sa.LargeBinary(length=16)
            .with_variant(sa.VARBINARY(length=16), "mariadb")
            .with_variant(sa.VARBINARY(length=16), "mysql"),
            nullable=False,
        ),
        sa.Column("found_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_orphaned_nodes")),
    )
    with op.batch_alter_table("orphaned_nodes", schema=None) as batch_op:
        batch_op.create_index("ix_orphaned_nodes_found_ts", ["found_ts"], unique=False)
