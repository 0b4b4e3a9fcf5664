"""rooms: a place of the server's own for each event.

Until now no event came from elsewhere, so that the depth of each was its place.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_rooms"
down_revision = "0006_quotas"
branch_labels = None
depends_on = None
schema = "543258c30c470462"
"""The hash of the tables that it leads to."""

IDENTIFIER = sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql")


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    for table in ("events", "event_relations"):
        if "place" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}:
            op.execute(f"ALTER TABLE {table} RENAME COLUMN depth TO place")
    op.create_index("ix_events_room_id_place_position", "events", ["room_id", "place", "position"])
    op.drop_index("ix_events_room_id_depth_position", table_name="events")
    op.add_column("rooms", sa.Column("place", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE rooms SET place = depth")
    op.create_table(
        "pending_redactions",
        sa.Column("target_id", IDENTIFIER, nullable=False),
        sa.Column("redaction_id", IDENTIFIER, nullable=False),
        sa.Column("may_redact_others", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("target_id", "redaction_id", name=op.f("pk_pending_redactions")),
    )
