"""The table of how far an import from Synapse has come."""

from sqlalchemy import Column, Table

from palpo.db.tables.meta import blob, flag, identifier, integer, metadata

synapse_import = Table(
    "synapse_import",
    metadata,
    Column("step", identifier(), primary_key=True),
    Column("checkpoint", blob(), nullable=False),
    Column("done_rows", integer(), nullable=False),
    Column("total_rows", integer(), nullable=False),
    Column("done", flag(), nullable=False),
    Column("changed_ts", integer(), nullable=False),
)
"""A row for each step that was begun. ``checkpoint`` is JSON, after which it goes on, null at first."""
