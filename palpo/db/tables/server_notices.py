"""Tables of server notices."""

from sqlalchemy import Column, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import identifier, metadata

server_notice_rooms = Table(
    "server_notice_rooms",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("room_id", identifier(), nullable=False),
    info=kept(Until.ALWAYS, why="It is the server's"),
)
"""The one room in which a user is sent notices."""
