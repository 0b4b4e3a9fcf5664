"""The table of reports: content, rooms and users that somebody found inappropriate."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import identifier, integer, metadata, text

reports = Table(
    "reports",
    metadata,
    Column("position", integer(), primary_key=True, autoincrement=False),
    Column("reporter", identifier(), nullable=False),
    Column("room_id", identifier()),
    Column("event_id", identifier()),
    Column("user_id", identifier()),
    Column("reason", text(), nullable=False),
    Column("score", integer()),
    Column("received_ts", integer(), nullable=False),
    Index("ix_reports_room_id", "room_id"),
    info=kept(Until.ALWAYS, user="reporter", why="It is about others"),
)
"""A report is of an event in a room, of a room, or of a user: what it is not of is null."""
