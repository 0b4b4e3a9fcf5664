"""How far each consumer of the stream has come."""

from sqlalchemy import Column, Table

from palpo.db.tables.meta import identifier, integer, metadata

consumers = Table(
    "consumers",
    metadata,
    Column("name", identifier(), primary_key=True),
    Column("position", integer(), nullable=False),
)
"""Everything up to and including ``position`` has been handled."""
