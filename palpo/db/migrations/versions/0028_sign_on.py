"""sign_on: providers are asked whether sessions go on, answers are taken once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0028_sign_on"
down_revision = "0027_accounts"
branch_labels = None
depends_on = None
schema = "498cd1780090494b"
"""The hash of the tables that it leads to."""
additive = True
"""Whether the release before works with them too."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "sign_on_answers",
        sa.Column(
            "answer_hash",
            sa.LargeBinary(length=32)
            .with_variant(sa.VARBINARY(length=32), "mariadb")
            .with_variant(sa.VARBINARY(length=32), "mysql"),
            nullable=False,
        ),
        sa.Column("expires_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("answer_hash", name=op.f("pk_sign_on_answers")),
    )
    with op.batch_alter_table("sign_on_answers", schema=None) as batch_op:
        batch_op.create_index("ix_sign_on_answers_expires_ts", ["expires_ts"], unique=False)

    with op.batch_alter_table("upstream_sessions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "refresh_token",
                sa.Text()
                .with_variant(mysql.LONGTEXT(), "mariadb")
                .with_variant(mysql.LONGTEXT(), "mysql")
                .with_variant(sa.Text(collation="C"), "postgresql"),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("ask_ts", sa.BigInteger(), nullable=True))
        batch_op.create_index("ix_upstream_sessions_ask_ts", ["ask_ts"], unique=False)
        batch_op.create_index(
            "ix_upstream_sessions_auth_provider_upstream_id", ["auth_provider", "upstream_id"], unique=False
        )
