"""Table of the other servers that are in rooms."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import identifier, integer, metadata

room_servers = Table(
    "room_servers",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("server_name", identifier(), primary_key=True),
    Column("joined", integer(), nullable=False),
    Column("position", integer(), nullable=False),
    Column("left_position", integer(), nullable=False, server_default="0"),
    Index("ix_room_servers_server_name", "server_name"),
)
"""``joined`` counts the server's users who are in the room; ``position`` is when the first of them came, and
``left_position`` when the last one left, where there are none any more. This server itself has no rows."""
