"""The table of what is known of each room at a glance, by which administrators sort and search rooms."""

from sqlalchemy import Column, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import digest, flag, identifier, integer, metadata

room_summaries = Table(
    "room_summaries",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("state_root", digest(16), nullable=False),
    Column("joined_members", integer(), nullable=False),
    Column("joined_local_members", integer(), nullable=False),
    Column("version", integer(), nullable=False),
    Column("federatable", flag(), nullable=False),
    Column("state_events", integer(), nullable=False),
    Column("name", identifier(), nullable=False),
    Column("canonical_alias", identifier(), nullable=False),
    Column("creator", identifier(), nullable=False),
    Column("encryption", identifier(), nullable=False),
    Column("join_rules", identifier(), nullable=False),
    Column("guest_access", identifier(), nullable=False),
    Column("history_visibility", identifier(), nullable=False),
    info=kept(Until.ALWAYS, user="creator", why="It is the room's state"),
)
"""Made of the room's state ``state_root`` when somebody asks, or now and then: where the room has another by
now, the row is out of date. Text is in lower case, its beginning only, and empty where there is none;
``version`` is -1 where it is no number."""
