"""Tables of the room directory: aliases, and the rooms that it lists."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import flag, identifier, integer, metadata

room_aliases = Table(
    "room_aliases",
    metadata,
    Column("alias", identifier(), primary_key=True),
    Column("room_id", identifier(), nullable=False),
    Column("creator", identifier(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    Index("ix_room_aliases_room_id", "room_id"),
    info=kept(Until.ALWAYS, user="creator", why="It is the room's"),
)
"""This server's aliases. ``room_id`` is empty while the room that the alias is for is being made."""

published_rooms = Table(
    "published_rooms",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("network_id", identifier(), primary_key=True),
    Column("listed", flag(), nullable=False),
    Column("position", integer(), nullable=False),
)
"""The rooms that the directory lists, or once did; ``network_id`` is empty for the server's own list."""
