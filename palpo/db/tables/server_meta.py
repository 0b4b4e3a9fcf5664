"""What a database knows of itself: which server's it is, and which tables it has."""

from sqlalchemy import Column, Table

from palpo.db.tables.meta import identifier, metadata, text

server_meta = Table(
    "server_meta",
    metadata,
    Column("name", identifier(), primary_key=True),
    Column("value", text(), nullable=False),
)
"""One row for each fact."""
