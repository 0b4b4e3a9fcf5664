"""The table of browsers that users are signed in with."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import digest, identifier, integer, metadata, text

browser_sessions = Table(
    "browser_sessions",
    metadata,
    Column("token_hash", digest(32), primary_key=True),
    Column("session_id", identifier(), nullable=False),
    Column("user_id", identifier(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    Column("last_used_ts", integer(), nullable=False),
    Column("expires_ts", integer(), nullable=False),
    Column("address", text(), nullable=False),
    Column("user_agent", text()),
    Index("ix_browser_sessions_user_id", "user_id", "last_used_ts"),
    Index("ix_browser_sessions_session_id", "session_id"),
    Index("ix_browser_sessions_expires_ts", "expires_ts"),
    info=kept(Until.DEACTIVATION),
)
"""Only the hash of what is in the cookie is kept. ``session_id`` names the session to others, and opens
nothing."""
