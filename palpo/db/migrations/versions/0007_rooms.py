"""rooms: a place of the server's own for each event.

Until now no event came from elsewhere, so that the depth of each was its place.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_rooms"
down_revision = "0006_quotas"
branch_labels = None
depends_on = None
schema = "7a895078ba711bfd"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    for table in ("events", "event_relations"):
        if "place" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}:
            op.execute(f"ALTER TABLE {table} RENAME COLUMN depth TO place")
    op.create_index("ix_events_room_id_place_position", "events", ["room_id", "place", "position"])
    op.drop_index("ix_events_room_id_depth_position", table_name="events")
    op.add_column("rooms", sa.Column("place", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE rooms SET place = depth")
