"""Memberships of local users in rooms that no local user is in."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, identifier, integer, metadata

outside_memberships = Table(
    "outside_memberships",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("user_id", identifier(), primary_key=True),
    Column("event_id", identifier(), nullable=False),
    Column("room_version", identifier(), nullable=False),
    Column("server_name", identifier(), nullable=False),
    Column("pdu", blob(), nullable=False),
    Column("position", integer(), nullable=False, server_default="0"),
    Index("ix_outside_memberships_position", "position"),
    Index("ix_outside_memberships_user_id_server_name", "user_id", "server_name"),
    info=kept(Until.ALWAYS, why="It says through whom an invite is declined, after the account's end too"),
)
"""Invites, knocks, and how they ended: beside the row in ``memberships`` with the same event, what the room's
state would say if the room were here. ``server_name`` is the server that it came from, or went through."""
