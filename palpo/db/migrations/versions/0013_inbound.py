"""inbound: what other servers send, and could not be asked for."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013_inbound"
down_revision = "0012_outside_memberships"
branch_labels = None
depends_on = None
schema = "a92e24e8db358ff6"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "failed_fetches",
        sa.Column(
            "server_name",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "event_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("next_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("server_name", "event_id", name=op.f("pk_failed_fetches")),
    )
    with op.batch_alter_table("failed_fetches", schema=None) as batch_op:
        batch_op.create_index("ix_failed_fetches_next_ts", ["next_ts"], unique=False)

    op.create_table(
        "inbound_pdus",
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
        sa.Column(
            "origin",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("received_ts", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("next_ts", sa.BigInteger(), nullable=False),
        sa.Column(
            "pdu",
            sa.LargeBinary()
            .with_variant(mysql.LONGBLOB(), "mariadb")
            .with_variant(mysql.LONGBLOB(), "mysql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("room_id", "event_id", name=op.f("pk_inbound_pdus")),
    )
    with op.batch_alter_table("inbound_pdus", schema=None) as batch_op:
        batch_op.create_index("ix_inbound_pdus_next_ts", ["next_ts"], unique=False)
        batch_op.create_index("ix_inbound_pdus_origin", ["origin"], unique=False)
        batch_op.create_index("ix_inbound_pdus_received_ts", ["received_ts"], unique=False)

    op.create_table(
        "inbound_transactions",
        sa.Column(
            "origin",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "transaction_hash",
            sa.LargeBinary(length=16)
            .with_variant(sa.VARBINARY(length=16), "mariadb")
            .with_variant(sa.VARBINARY(length=16), "mysql"),
            nullable=False,
        ),
        sa.Column("received_ts", sa.BigInteger(), nullable=False),
        sa.Column(
            "answer",
            sa.LargeBinary()
            .with_variant(mysql.LONGBLOB(), "mariadb")
            .with_variant(mysql.LONGBLOB(), "mysql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("origin", "transaction_hash", name=op.f("pk_inbound_transactions")),
    )
    with op.batch_alter_table("inbound_transactions", schema=None) as batch_op:
        batch_op.create_index("ix_inbound_transactions_received_ts", ["received_ts"], unique=False)
