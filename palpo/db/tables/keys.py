"""Tables of end-to-end encryption keys. Keys are JSON in canonical form, as they were uploaded."""

from sqlalchemy import Column, Index, Table, column, func

from palpo.core.records.quotas import Kind
from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, digest, flag, identifier, integer, metadata

_BYTES = {Kind.KEY_BYTES: func.sum(func.length(column("json")))}

device_keys = Table(
    "device_keys",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("device_id", identifier(), primary_key=True),
    Column("json", blob(), nullable=False),
    info=kept(Until.DEACTIVATION, device="device_id", counted=_BYTES),
)

one_time_keys = Table(
    "one_time_keys",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("device_id", identifier(), primary_key=True),
    Column("name", identifier(), primary_key=True),
    Column("algorithm", identifier(), nullable=False),
    Column("position", integer(), nullable=False),
    Column("json", blob(), nullable=False),
    Index("ix_one_time_keys_user_id_device_id_position", "user_id", "device_id", "position"),
    info=kept(Until.DEACTIVATION, device="device_id", counted=_BYTES),
)
"""Keys to be claimed. ``position`` orders the uploads; ``name`` is ``algorithm:key_id``.

A key that was claimed stays for a while, lest it be uploaded again: without ``algorithm``, and with the
key's hash for ``json``."""

fallback_keys = Table(
    "fallback_keys",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("device_id", identifier(), primary_key=True),
    Column("algorithm", identifier(), primary_key=True),
    Column("name", identifier(), nullable=False),
    Column("json", blob(), nullable=False),
    Column("used", flag(), nullable=False),
    info=kept(Until.DEACTIVATION, device="device_id", counted=_BYTES),
)

cross_signing_keys = Table(
    "cross_signing_keys",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("usage", identifier(), primary_key=True),
    Column("key_id", identifier(), nullable=False),
    Column("json", blob(), nullable=False),
    info=kept(Until.ALWAYS, why="Others verify what was signed by it", counted=_BYTES),
)
"""``usage`` is ``master``, ``self_signing`` or ``user_signing``; ``key_id`` is ``ed25519:public_key``."""

key_signatures = Table(
    "key_signatures",
    metadata,
    Column("signature_hash", digest(32), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("target", identifier(), nullable=False),
    Column("signer_user_id", identifier(), nullable=False),
    Column("signer_key_id", identifier(), nullable=False),
    Column("signature", blob(), nullable=False),
    Index("ix_key_signatures_user_id_signer_user_id", "user_id", "signer_user_id"),
    Index("ix_key_signatures_user_id_target", "user_id", "target"),
    info=kept(Until.ALWAYS, device="target", why="It goes with the key, and users have signed each other's"),
)
"""Signatures that were uploaded after the key. ``target`` is a device ID, or the key ID of a
cross-signing key, of ``user_id``'s; ``signature_hash`` stands for all that says what signs what."""
