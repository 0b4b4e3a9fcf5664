"""media: quarantine by content, protection, and when it was asked for last."""

import sqlalchemy as sa
from alembic import op

revision = "0022_media"
down_revision = "0021_audit_log"
branch_labels = None
depends_on = None
schema = "3d15f4a2bd5e5648"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "media_quarantine_changes",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
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
        sa.Column("quarantined", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_media_quarantine_changes")),
    )
    op.create_table(
        "quarantined_hashes",
        sa.Column(
            "sha256",
            sa.LargeBinary(length=32)
            .with_variant(sa.VARBINARY(length=32), "mariadb")
            .with_variant(sa.VARBINARY(length=32), "mysql"),
            nullable=False,
        ),
        sa.Column(
            "by",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_quarantined_hashes")),
    )
    with op.batch_alter_table("media", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "quarantined_by",
                sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("protected", sa.SmallInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("last_access_ts", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.create_index("ix_media_last_access_ts", ["last_access_ts"], unique=False)
