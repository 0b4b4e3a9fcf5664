"""Tables of the signing keys of other servers."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import blob, flag, identifier, integer, metadata

server_signing_keys = Table(
    "server_signing_keys",
    metadata,
    Column("server_name", identifier(), primary_key=True),
    Column("key_id", identifier(), primary_key=True),
    Column("verify_key", identifier(), nullable=False),
    Column("valid_until_ts", integer(), nullable=False),
    Column("retired", flag(), nullable=False),
)
"""They are kept for good: events are checked by them as long as there are events."""

server_key_fetches = Table(
    "server_key_fetches",
    metadata,
    Column("server_name", identifier(), primary_key=True),
    Column("answer", blob()),
    Column("answered_ts", integer(), nullable=False),
    Column("valid_until_ts", integer(), nullable=False),
    Column("failures", integer(), nullable=False),
    Column("next_ts", integer(), nullable=False),
    Index("ix_server_key_fetches_next_ts", "next_ts"),
)
"""What each server answered last, NULL where it never has; and when it may be asked again, having failed."""
