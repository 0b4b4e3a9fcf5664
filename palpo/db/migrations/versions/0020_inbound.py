"""inbound: why events were refused, or wait."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0020_inbound"
down_revision = "0019_rooms"
branch_labels = None
depends_on = None
schema = "60e6fe37a1180708"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "event_refusals",
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
        sa.Column(
            "origin",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "refused_by",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "reason",
            sa.Text()
            .with_variant(mysql.LONGTEXT(), "mariadb")
            .with_variant(mysql.LONGTEXT(), "mysql")
            .with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("refused_ts", sa.BigInteger(), nullable=False),
        sa.Column("is_stored", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_refusals")),
    )
    with op.batch_alter_table("event_refusals", schema=None) as batch_op:
        batch_op.create_index(
            "ix_event_refusals_is_stored_refused_ts", ["is_stored", "refused_ts"], unique=False
        )

    with op.batch_alter_table("inbound_pdus", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "why",
                sa.Text()
                .with_variant(mysql.LONGTEXT(), "mariadb")
                .with_variant(mysql.LONGTEXT(), "mysql")
                .with_variant(sa.Text(collation="C"), "postgresql"),
                nullable=True,
            )
        )
