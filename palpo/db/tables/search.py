"""Tables of search."""

from sqlalchemy import Column, Index, Table

from palpo.db.full_text import FullText
from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import identifier, integer, metadata, text

search_entries = Table(
    "search_entries",
    metadata,
    Column("position", integer(), primary_key=True, autoincrement=False),
    Column("event_id", identifier(), nullable=False),
    Column("room_id", identifier(), nullable=False),
    Column("sender", identifier(), nullable=False),
    Column("search_key", identifier(), nullable=False),
    Column("words", text(), nullable=False),
    Index("ix_search_entries_event_id", "event_id"),
    Index("ix_search_entries_room_id", "room_id"),
    info=kept(Until.ALWAYS, user="sender", why="It is the room's history"),
)
"""Events that can be found, by their stream position. ``words`` are tokens (``core.search_text``) with
a space between them, the room's own first."""

search_words = FullText(search_entries, key="position", column="words")
