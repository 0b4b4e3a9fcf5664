"""Tables of the devices of other servers' users: what is kept of them, and what they were told of ours."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, digest, identifier, integer, metadata

_WHY = "They are users of other servers"

remote_device_lists = Table(
    "remote_device_lists",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("server_name", identifier(), nullable=False),
    Column("position", integer(), nullable=False),
    Column("changes", integer(), nullable=False),
    Column("stream_id", integer()),
    Column("resync_ts", integer()),
    Column("failures", integer(), nullable=False),
    Column("master_key", blob()),
    Column("self_signing_key", blob()),
    Index("ix_remote_device_lists_server_name", "server_name"),
    Index("ix_remote_device_lists_resync_ts", "resync_ts"),
    info=kept(Until.ALWAYS, why=_WHY),
)
"""The device lists of those whose keys somebody here has asked for.

A list was in step with the user's server at the stream position ``position``, and is so still where
``resync_ts`` is NULL and rooms have been shared ever since. Otherwise it is to be fetched anew at
``resync_ts``, having failed ``failures`` times. ``stream_id`` is the last update that is in it, NULL where
the server did not say. ``changes`` counts what was heard of it: an answer is stored where nothing was heard
since it was asked for."""

remote_device_keys = Table(
    "remote_device_keys",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("device_id", identifier(), primary_key=True),
    Column("json", blob(), nullable=False),
    Column("display_name", identifier()),
    info=kept(Until.ALWAYS, why=_WHY),
)
"""The devices in these lists that have keys; ``json`` is canonical, as the user's server told it."""

told_devices = Table(
    "told_devices",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("device_id", identifier(), primary_key=True),
    Column("stream_id", integer(), nullable=False),
    Column("hash", digest(16), nullable=False),
    info=kept(Until.ALWAYS, why="Other servers are told that the devices are gone"),
)
"""What other servers were last told of our users' devices, as a hash, in the update ``stream_id``.

The row whose ``device_id`` is empty has the user's last ``stream_id``, and the hash of what all may see of
their cross-signing keys."""
