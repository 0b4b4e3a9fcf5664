"""sign_on: external IDs, and sessions elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0026_sign_on"
down_revision = "0025_rooms"
branch_labels = None
depends_on = None
schema = "3b2a2a3a3f11ce9f"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "external_ids",
        sa.Column(
            "auth_provider",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "external_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "user_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("auth_provider", "external_id", name=op.f("pk_external_ids")),
    )
    with op.batch_alter_table("external_ids", schema=None) as batch_op:
        batch_op.create_index("ix_external_ids_user_id", ["user_id"], unique=False)

    op.create_table(
        "upstream_sessions",
        sa.Column(
            "token_hash",
            sa.LargeBinary(length=32)
            .with_variant(sa.VARBINARY(length=32), "mariadb")
            .with_variant(sa.VARBINARY(length=32), "mysql"),
            nullable=False,
        ),
        sa.Column(
            "auth_provider",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subject",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "upstream_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "user_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "device_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("expires_ts", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_upstream_sessions")),
    )
    with op.batch_alter_table("upstream_sessions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_upstream_sessions_auth_provider_subject", ["auth_provider", "subject"], unique=False
        )
        batch_op.create_index("ix_upstream_sessions_expires_ts", ["expires_ts"], unique=False)
        batch_op.create_index(
            "ix_upstream_sessions_user_id_device_id", ["user_id", "device_id"], unique=False
        )
