"""The table of what administrators did."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, identifier, integer, metadata, text

audit_log = Table(
    "audit_log",
    metadata,
    Column("position", integer(), primary_key=True, autoincrement=False),
    Column("at_ts", integer(), nullable=False),
    Column("actor", identifier(), nullable=False),
    Column("via", identifier(), nullable=False),
    Column("action", identifier(), nullable=False),
    Column("target", text(), nullable=False),
    Column("details", blob(), nullable=False),
    Column("status", integer(), nullable=False),
    Column("address", text(), nullable=False),
    Index("ix_audit_log_actor", "actor", "position"),
    info=kept(Until.ALWAYS, user="actor", why="It is about the server"),
)
"""``status`` is that of HTTP: 200 for what was done, and for what was refused that of the error."""
