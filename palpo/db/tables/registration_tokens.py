"""Tables of registration tokens."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import identifier, integer, metadata

registration_tokens = Table(
    "registration_tokens",
    metadata,
    Column("token", identifier(), primary_key=True),
    Column("uses_allowed", integer()),
    Column("completed", integer(), nullable=False),
    Column("expires_ts", integer()),
    Column("created_ts", integer(), nullable=False),
)
"""``uses_allowed`` NULL is any number of accounts, ``expires_ts`` NULL never."""

registration_token_uses = Table(
    "registration_token_uses",
    metadata,
    Column("uia_session", identifier(), primary_key=True),
    Column("token", identifier(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    Index("ix_registration_token_uses_token", "token"),
    Index("ix_registration_token_uses_created_ts", "created_ts"),
)
"""Registrations under way, which hold a use each until they are complete or their time is over."""
