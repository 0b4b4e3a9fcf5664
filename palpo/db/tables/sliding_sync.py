"""Tables of sliding sync: what each connection has been sent."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept, kept_with
from palpo.db.tables.meta import blob, digest, identifier, integer, metadata

sliding_connections = Table(
    "sliding_connections",
    metadata,
    Column("connection", digest(16), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("device_id", identifier(), nullable=False),
    Column("tag", identifier(), nullable=False),
    Column("confirmed", integer(), nullable=False),
    Column("offered", integer(), nullable=False),
    Column("configs", blob(), nullable=False),
    Column("last_used_ts", integer(), nullable=False),
    Index("ix_sliding_connections_user_id_device_id", "user_id", "device_id"),
    info=kept(Until.DEACTIVATION, device="device_id"),
)
"""``connection`` is a hash of user, device and ``conn_id``; ``tag`` is in the connection's tokens. The
client has come back with the generation ``confirmed``, and has been offered ``offered``. ``configs`` is
the JSON array of what rooms were asked with, which their rows refer to."""

sliding_rooms = Table(
    "sliding_rooms",
    metadata,
    Column("connection", digest(16), primary_key=True),
    Column("room_id", identifier(), primary_key=True),
    Column("generation", integer(), nullable=False),
    Column("sent", blob()),
    Column("before", blob()),
    info=kept_with(sliding_connections, "connection"),
)
"""What a connection knows of a room as of ``generation``, and what it knew ``before``: a client that has
not received the response goes on from there. Both are NULL where it knows nothing."""
