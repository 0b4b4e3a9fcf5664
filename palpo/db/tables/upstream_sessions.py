"""Tables of the sessions that users have elsewhere, and what was begun here by them."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import digest, identifier, integer, metadata, text

upstream_sessions = Table(
    "upstream_sessions",
    metadata,
    Column("token_hash", digest(32), primary_key=True),
    Column("auth_provider", identifier(), nullable=False),
    Column("subject", identifier(), nullable=False),
    Column("upstream_id", identifier()),
    Column("user_id", identifier(), nullable=False),
    Column("device_id", identifier()),
    Column("expires_ts", integer()),
    Column("refresh_token", text()),
    Column("ask_ts", integer()),
    Index("ix_upstream_sessions_auth_provider_subject", "auth_provider", "subject"),
    Index("ix_upstream_sessions_user_id_device_id", "user_id", "device_id"),
    Index("ix_upstream_sessions_expires_ts", "expires_ts"),
    Index("ix_upstream_sessions_auth_provider_upstream_id", "auth_provider", "upstream_id"),
    Index("ix_upstream_sessions_ask_ts", "ask_ts"),
    info=kept(Until.DEACTIVATION, device="device_id"),
)
"""What a sign-on with an account from elsewhere became: a login token, and then the device that logged in by
it; or a browser that is signed in, by the hash of its token. So a provider that ends a session ends these.
``refresh_token``, sealed, is what the provider is asked with, from ``ask_ts`` on, whether a session goes
on."""

sign_on_answers = Table(
    "sign_on_answers",
    metadata,
    Column("answer_hash", digest(32), primary_key=True),
    Column("expires_ts", integer(), nullable=False),
    Index("ix_sign_on_answers_expires_ts", "expires_ts"),
)
"""Answers of providers that have been taken, and are not taken a second time."""
