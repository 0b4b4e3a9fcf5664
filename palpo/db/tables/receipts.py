"""Tables of what users have read, and of what they have not."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, flag, identifier, integer, metadata

receipts = Table(
    "receipts",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("user_id", identifier(), primary_key=True),
    Column("thread_id", identifier(), primary_key=True),
    Column("private", flag(), primary_key=True, autoincrement=False),
    Column("event_id", identifier(), nullable=False),
    Column("event_position", integer(), nullable=False),
    Column("ts", integer(), nullable=False),
    Column("position", integer(), nullable=False),
    Index("ix_receipts_room_id_position", "room_id", "position"),
    Index("ix_receipts_position", "position"),
    info=kept(Until.ALWAYS, why="Others see how far a room was read"),
)
"""``thread_id`` is empty for an unthreaded receipt; ``private`` tells ``m.read.private`` from ``m.read``."""

unread_checkpoints = Table(
    "unread_checkpoints",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("room_id", identifier(), primary_key=True),
    Column("state", blob(), nullable=False),
    info=kept(Until.ALWAYS, why="It is made anew from a room's events"),
)
"""Where counting unread events got to, so that it need not begin anew: see ``services.push.unread``."""
