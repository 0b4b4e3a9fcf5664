"""Tables of accounts, their devices and their access tokens."""

from sqlalchemy import Column, Index, Table, func

from palpo.core.records.quotas import Kind
from palpo.db.tables.kept import Until, kept
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
    Column("erased", flag(), nullable=False),
    Column("locked", flag(), nullable=False),
    Column("suspended", flag(), nullable=False),
    info=kept(Until.ALWAYS, why="The name is never given to anybody else"),
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
    info=kept(Until.DEACTIVATION, device="device_id", counted={Kind.DEVICES: func.count()}),
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
    info=kept(Until.DEACTIVATION, device="device_id"),
)
"""Only hashes are kept: whoever reads the database learns no token that works.

``used`` is set when the token is first presented: a refresh token stays valid until then.
"""

uia_sessions = Table(
    "uia_sessions",
    metadata,
    Column("session_id", identifier(), primary_key=True),
    Column("completed", blob(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    Index("ix_uia_sessions_created_ts", "created_ts"),
)
"""Stages completed so far, a JSON list of their types, of the user-interactive auth sessions that
have any. What a session was opened for, and when, is in its ID, under a MAC."""

uia_results = Table(
    "uia_results",
    metadata,
    Column("session_hash", digest(32), primary_key=True),
    Column("request_hash", digest(32), nullable=False),
    Column("user_id", identifier(), nullable=True),
    Column("device_id", identifier(), nullable=True),
    Column("body", blob(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    Index("ix_uia_results_created_ts", "created_ts"),
    info=kept(Until.ALWAYS, why="It goes after an hour"),
)
"""What came of the user-interactive auth sessions that are spent, for whose answer was lost: of a
registration the account and its device, of the rest the response. Hashes are under the server's key."""

login_tokens = Table(
    "login_tokens",
    metadata,
    Column("token_hash", digest(32), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("expires_ts", integer(), nullable=False),
    Index("ix_login_tokens_expires_ts", "expires_ts"),
    Index("ix_login_tokens_user_id", "user_id"),
    info=kept(Until.DEACTIVATION),
)
"""Single-use tokens for ``m.login.token``."""

registration_nonces = Table(
    "registration_nonces",
    metadata,
    Column("nonce", identifier(), primary_key=True),
    Column("expires_ts", integer(), nullable=False),
    Index("ix_registration_nonces_expires_ts", "expires_ts"),
)
"""Nonces that were used for shared-secret registration, kept until they have expired anyway."""

deactivations = Table(
    "deactivations",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("erase", flag(), nullable=False),
    info=kept(Until.ALWAYS, why="It goes when all is seen to"),
)
"""Accounts that have ended, and whose rooms, identifiers and the like are still being seen to."""
