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
    Column("shadow_banned", flag(), nullable=False, server_default="0"),
    Column("user_type", identifier()),
    Column("list_name", identifier(), nullable=False, server_default=""),
    Column("list_avatar", identifier(), nullable=False, server_default=""),
    Column("last_seen_ts", integer(), nullable=False, server_default="0"),
    info=kept(Until.ALWAYS, why="The name is never given to anybody else"),
)
"""``list_name`` and ``list_avatar`` are the beginnings of the display name, in lower case, and of the
avatar's address: by them administrators sort and search users. ``last_seen_ts`` is the latest of all the
user's devices, 0 where there is none."""

rate_limit_overrides = Table(
    "rate_limit_overrides",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("per_second", integer(), nullable=False),
    Column("burst", integer(), nullable=False),
    info=kept(Until.DEACTIVATION),
)
"""What users may do in place of what the configuration says; where both are 0, as much as they like."""

cross_signing_resets = Table(
    "cross_signing_resets",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("until_ts", integer(), nullable=False),
    info=kept(Until.DEACTIVATION),
)
"""Users who may replace their cross-signing keys without showing again who they are, and until when."""

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
    Column("made_by", identifier()),
    Index("ix_access_tokens_user_id_device_id", "user_id", "device_id"),
    Index("ix_access_tokens_refresh_hash", "refresh_hash"),
    Index("ix_access_tokens_made_by", "made_by"),
    info=kept(Until.DEACTIVATION, device="device_id"),
)
"""Only hashes are kept: whoever reads the database learns no token that works.

``used`` is set when the token is first presented: a refresh token stays valid until then. ``made_by`` is the
administrator who logged in as the user, None where that was the user.
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
