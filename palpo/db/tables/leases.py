"""Who does what, for now."""

from sqlalchemy import Column, Table

from palpo.db.tables.meta import identifier, integer, metadata

leases = Table(
    "leases",
    metadata,
    Column("name", identifier(), primary_key=True),
    Column("holder", identifier(), nullable=False),
    Column("expires_ts", integer(), nullable=False),
    Column("fence", integer(), nullable=False),
)
"""``holder`` is a process, empty where nobody holds it; ``fence`` grows each time that the holder changes,
so that a write on a lease's strength can be refused once it has gone to another."""
