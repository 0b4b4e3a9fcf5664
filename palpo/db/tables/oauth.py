"""Tables of the OAuth 2.0 API: its clients, and what they were granted."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, digest, identifier, integer, metadata, text

oauth_clients = Table(
    "oauth_clients",
    metadata,
    Column("client_id", identifier(), primary_key=True),
    Column("metadata_hash", digest(32), nullable=False),
    Column("metadata", blob(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    Column("last_used_ts", integer(), nullable=False),
    Index("ix_oauth_clients_metadata_hash", "metadata_hash", unique=True),
    Index("ix_oauth_clients_last_used_ts", "last_used_ts"),
)
"""What clients have said of themselves, as JSON. Those that say the same are one."""

oauth_codes = Table(
    "oauth_codes",
    metadata,
    Column("code_hash", digest(32), primary_key=True),
    Column("grant_id", identifier(), nullable=False),
    Column("client_id", identifier(), nullable=False),
    Column("user_id", identifier(), nullable=False),
    Column("device_id", identifier(), nullable=False),
    Column("scope", text(), nullable=False),
    Column("redirect_uri", text(), nullable=False),
    Column("code_challenge", text(), nullable=False),
    Column("expires_ts", integer(), nullable=False),
    Index("ix_oauth_codes_user_id", "user_id"),
    Index("ix_oauth_codes_client_id", "client_id"),
    Index("ix_oauth_codes_expires_ts", "expires_ts"),
    info=kept(Until.DEACTIVATION),
)
"""Authorization codes that are not spent. ``grant_id`` is that of the grant that will come of one."""

oauth_device_codes = Table(
    "oauth_device_codes",
    metadata,
    Column("code_hash", digest(32), primary_key=True),
    Column("user_code", identifier(), nullable=False),
    Column("client_id", identifier(), nullable=False),
    Column("device_id", identifier(), nullable=False),
    Column("scope", text(), nullable=False),
    Column("user_id", identifier()),
    Column("state", identifier(), nullable=False),
    Column("polled_ts", integer(), nullable=False),
    Column("expires_ts", integer(), nullable=False),
    Index("ix_oauth_device_codes_user_code", "user_code", unique=True),
    Index("ix_oauth_device_codes_user_id", "user_id"),
    Index("ix_oauth_device_codes_client_id", "client_id"),
    Index("ix_oauth_device_codes_expires_ts", "expires_ts"),
    info=kept(Until.DEACTIVATION),
)
"""Device codes that are not spent. ``state`` is ``pending``, ``allowed`` or ``denied``; ``user_id`` is whose
decision that was."""

oauth_grants = Table(
    "oauth_grants",
    metadata,
    Column("grant_id", identifier(), primary_key=True),
    Column("client_id", identifier(), nullable=False),
    Column("user_id", identifier(), nullable=False),
    Column("device_id", identifier(), nullable=False),
    Column("scope", text(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    Index("ix_oauth_grants_user_id_device_id", "user_id", "device_id"),
    Index("ix_oauth_grants_client_id", "client_id"),
    info=kept(Until.DEACTIVATION, device="device_id"),
)
"""Devices that have their tokens by OAuth 2.0. A grant goes with its device, and the device with it."""

oauth_consents = Table(
    "oauth_consents",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("client_id", identifier(), primary_key=True),
    Column("granted_ts", integer(), nullable=False),
    Index("ix_oauth_consents_user_id_granted_ts", "user_id", "granted_ts"),
    Index("ix_oauth_consents_client_id", "client_id"),
    info=kept(Until.DEACTIVATION),
)
"""Clients that a user has allowed, and need not allow again. What they asked for was the whole API: there is
no other scope. ``granted_ts`` is when that was last."""
