"""Tables of what clients keep on the server for themselves: account data and filters."""

from sqlalchemy import Column, Index, Table, column, func

from palpo.core.records.quotas import Kind
from palpo.db.tables.kept import Until, kept
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
    info=kept(
        Until.ERASURE,
        counted={
            Kind.ACCOUNT_DATA: func.count(column("content")),
            Kind.ACCOUNT_DATA_BYTES: func.sum(func.length(column("content"))),
        },
    ),
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
    info=kept(
        Until.ALWAYS,
        why="It says what a client shows, and nothing of its user",
        counted={Kind.FILTERS: func.count()},
    ),
)
"""``filter_id`` is a digest of ``filter``, so that the same filter is stored once. ``position`` is when: it
is NULL for those from before that was noted, which count as the oldest."""
