"""destinations: what they have not been told of yet."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0015_destinations"
down_revision = "0014_remote_device_lists"
branch_labels = None
depends_on = None
schema = "5436fd7f44929750"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "destination_edus",
        sa.Column(
            "destination",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "edu_type",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "edu_key",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(
            "content",
            sa.LargeBinary()
            .with_variant(mysql.LONGBLOB(), "mariadb")
            .with_variant(mysql.LONGBLOB(), "mysql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("destination", "edu_type", "edu_key", name=op.f("pk_destination_edus")),
    )
    with op.batch_alter_table("destination_edus", schema=None) as batch_op:
        batch_op.create_index(
            "ix_destination_edus_destination_position", ["destination", "position"], unique=False
        )

    op.create_table(
        "destinations",
        sa.Column(
            "server_name",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("sent_upto", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("failing_since_ts", sa.BigInteger(), nullable=False),
        sa.Column("retry_ts", sa.BigInteger(), nullable=False),
        sa.Column(
            "error",
            sa.Text()
            .with_variant(mysql.LONGTEXT(), "mariadb")
            .with_variant(mysql.LONGTEXT(), "mysql")
            .with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("server_name", name=op.f("pk_destinations")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("outgoing", sa.SmallInteger(), server_default="0", nullable=False))

    with op.batch_alter_table("rooms", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "newest_outgoing",
                sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
                nullable=True,
            )
        )
