"""The table of what users have of what is bounded."""

from sqlalchemy import Column, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import identifier, integer, metadata

quota_usage = Table(
    "quota_usage",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("kind", identifier(), primary_key=True),
    Column("amount", integer(), nullable=False),
    info=kept(Until.ALWAYS, why="It counts what stays"),
)
"""How much a user has of a kind (``core.records.quotas.Kind``), in the kind's unit; no row is nothing. With
an empty ``user_id`` it is all users' together. Written in the transactions that write what is counted."""
