"""server_signing_keys: keys of other servers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008_server_signing_keys"
down_revision = "0007_rooms"
branch_labels = None
depends_on = None
schema = "4315de8ce7bae9d6"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "server_key_fetches",
        sa.Column(
            "server_name",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "answer",
            sa.LargeBinary()
            .with_variant(mysql.LONGBLOB(), "mariadb")
            .with_variant(mysql.LONGBLOB(), "mysql"),
            nullable=True,
        ),
        sa.Column("answered_ts", sa.BigInteger(), nullable=False),
        sa.Column("valid_until_ts", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("next_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("server_name", name=op.f("pk_server_key_fetches")),
    )
    with op.batch_alter_table("server_key_fetches", schema=None) as batch_op:
        batch_op.create_index("ix_server_key_fetches_next_ts", ["next_ts"], unique=False)

    op.create_table(
        "server_signing_keys",
        sa.Column(
            "server_name",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "key_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "verify_key",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("valid_until_ts", sa.BigInteger(), nullable=False),
        sa.Column("retired", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("server_name", "key_id", name=op.f("pk_server_signing_keys")),
    )
