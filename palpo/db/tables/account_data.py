"""Tables of what clients keep on the server for themselves: account data and filters."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import blob, identifier, integer, metadata

account_data = Table(
    "account_data",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("room_id", identifier(), primary_key=True),
    Column("type", identifier(), primary_key=True),
    Column("content", blob()),
    Column("position", integer(), nullable=False),
    Index("ix_account_data_user_id_position", "user_id", "position"),
)
"""``room_id`` is empty for what belongs to no room; ``content`` is NULL once it has been deleted, so that
clients can be told."""

filters = Table(
    "filters",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("filter_id", identifier(), primary_key=True),
    Column("filter", blob(), nullable=False),
    Column("position", integer()),
)
"""``filter_id`` is a digest of ``filter``, so that the same filter is stored once. ``position`` is when: it
is NULL for those from before that was noted, which count as the oldest."""
