"""Tables of who is there, and who is typing."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import flag, identifier, integer, metadata, text

typing = Table(
    "typing",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("user_id", identifier(), primary_key=True),
    Column("typing", flag(), nullable=False),
    Column("expires_ts", integer(), nullable=False),
    Column("position", integer(), nullable=False),
    Index("ix_typing_typing_expires_ts", "typing", "expires_ts"),
    Index("ix_typing_room_id_position", "room_id", "position"),
    Index("ix_typing_position", "position"),
    info=kept(Until.ALWAYS, why="It expires"),
)
"""``expires_ts`` is when the user stops typing unless they say so again, or when they stopped."""

presence = Table(
    "presence",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("presence", identifier(), nullable=False),
    Column("status_msg", text()),
    Column("last_active_ts", integer(), nullable=False),
    Column("currently_active", flag(), nullable=False),
    Column("displayname", text()),
    Column("avatar_url", text()),
    Column("position", integer(), nullable=False),
    Index("ix_presence_position", "position"),
    Index("ix_presence_presence", "presence"),
    info=kept(Until.ALWAYS, why="Others were told of it"),
)
"""The presence that others were last told about."""
