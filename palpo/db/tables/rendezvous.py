"""The table of rendezvous (MSC4108, MSC4388)."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import blob, identifier, integer, metadata

rendezvous = Table(
    "rendezvous",
    metadata,
    Column("rendezvous_id", identifier(), primary_key=True),
    Column("sequence", identifier(), nullable=False),
    Column("data", blob(), nullable=False),
    Column("modified_ts", integer(), nullable=False),
    Column("expires_ts", integer(), nullable=False),
    Index("ix_rendezvous_expires_ts", "expires_ts"),
)
"""Where two devices leave each other messages for a minute. ``sequence`` names what is there now."""
