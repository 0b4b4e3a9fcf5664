"""Tables of third-party identifiers."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import digest, identifier, integer, metadata, text

threepids = Table(
    "threepids",
    metadata,
    Column("medium", identifier(), primary_key=True),
    Column("address", identifier(), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("validated_ts", integer(), nullable=False),
    Column("added_ts", integer(), nullable=False),
    Index("ix_threepids_user_id", "user_id"),
    info=kept(Until.DEACTIVATION),
)
"""Email addresses, in lower case, of accounts: each is of one account at most."""

threepid_bindings = Table(
    "threepid_bindings",
    metadata,
    Column("binding_hash", digest(16), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("medium", identifier(), nullable=False),
    Column("address", identifier(), nullable=False),
    Column("id_server", identifier(), nullable=False),
    Index("ix_threepid_bindings_user_id", "user_id"),
    info=kept(Until.ALWAYS, why="Who takes a binding back must know of it"),
)
"""What identity servers were told through this server; ``binding_hash`` stands for the other columns."""

threepid_sessions = Table(
    "threepid_sessions",
    metadata,
    Column("session_id", identifier(), primary_key=True),
    Column("request_hash", digest(16), nullable=False),
    Column("purpose", identifier(), nullable=False),
    Column("medium", identifier(), nullable=False),
    Column("address", identifier(), nullable=False),
    Column("client_secret", identifier(), nullable=False),
    Column("token_hash", digest(32), nullable=False),
    Column("send_attempt", integer(), nullable=False),
    Column("sent", integer(), nullable=False),
    Column("next_link", text()),
    Column("uia_session", identifier()),
    Column("validated_ts", integer()),
    Column("expires_ts", integer(), nullable=False),
    Index("ix_threepid_sessions_request_hash", "request_hash"),
    Index("ix_threepid_sessions_address", "address"),
    Index("ix_threepid_sessions_uia_session", "uia_session"),
    Index("ix_threepid_sessions_expires_ts", "expires_ts"),
)
"""Validations under way. ``request_hash`` stands for purpose, medium, address and client secret;
``sent`` counts messages,
``uia_session`` is the user-interactive auth session in which the validation was shown."""
