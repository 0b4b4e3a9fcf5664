"""rooms: blocked."""

import sqlalchemy as sa
from alembic import op

revision = "0025_rooms"
down_revision = "0024_browser_sessions"
branch_labels = None
depends_on = None
schema = "32d65d2fa7d78470"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "blocked_rooms",
        sa.Column(
            "room_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "user_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("blocked_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room_id", name=op.f("pk_blocked_rooms")),
    )
