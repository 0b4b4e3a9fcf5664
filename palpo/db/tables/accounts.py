"""Tables of accounts, their devices and their access tokens."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import blob, digest, flag, identifier, integer, metadata, text

users = Table(
    "users",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("password_hash", text()),
    Column("created_ts", integer(), nullable=False),
    Column("is_guest", flag(), nullable=False),
    Column("is_admin", flag(), nullable=False),
    Column("appservice_id", identifier()),
    Column("deactivated", flag(), nullable=False),
    Column("locked", flag(), nullable=False),
    Column("suspended", flag(), nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("device_id", identifier(), primary_key=True),
    Column("display_name", text()),
    Column("created_ts", integer(), nullable=False),
    Column("last_seen_ts", integer()),
    Column("last_seen_ip", identifier()),
    Column("user_agent", text()),
)

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("token_hash", digest(32), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("device_id", identifier()),
    Column("refresh_hash", digest(32)),
    Column("expires_ts", integer()),
    Column("created_ts", integer(), nullable=False),
    Column("used", flag(), nullable=False),
    Index("ix_access_tokens_user_id_device_id", "user_id", "device_id"),
    Index("ix_access_tokens_refresh_hash", "refresh_hash"),
)
"""Only hashes are kept: whoever reads the database learns no token that works.

``used`` is set when the token is first presented: a refresh token stays valid until then.
"""

uia_sessions = Table(
    "uia_sessions",
    metadata,
    Column("session_id", identifier(), primary_key=True),
    Column("operation", text(), nullable=False),
    Column("state", blob(), nullable=False),
    Column("created_ts", integer(), nullable=False),
)
"""User-interactive auth sessions; ``operation`` binds one to the call that it was opened for."""
