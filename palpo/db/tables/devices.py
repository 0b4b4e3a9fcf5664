"""Tables of changed device lists and of messages to devices. (Devices themselves are in ``accounts``.)"""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, digest, identifier, integer, metadata

device_list_changes = Table(
    "device_list_changes",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("observer", identifier(), primary_key=True),
    Column("position", integer(), nullable=False),
    Index("ix_device_list_changes_observer_position", "observer", "position"),
    info=kept(Until.ALWAYS, why="Others are told that the devices are gone"),
)
"""Where ``user_id``'s device or cross-signing keys last changed, as all can see (``observer`` is empty),
or as ``observer`` alone can, who has signed one of them."""

to_device_messages = Table(
    "to_device_messages",
    metadata,
    Column("position", integer(), primary_key=True, autoincrement=False),
    Column("user_id", identifier(), nullable=False),
    Column("device_id", identifier(), nullable=False),
    Column("event", blob(), nullable=False),
    Column("sender", identifier(), nullable=False, server_default=""),
    Index("ix_to_device_messages_user_id_device_id_position", "user_id", "device_id", "position"),
    info=kept(Until.DEACTIVATION, device="device_id"),
)
"""What each device has not yet acknowledged. ``event`` is JSON as clients see it.
``sender`` is empty for what came before that was noted."""

to_device_transactions = Table(
    "to_device_transactions",
    metadata,
    Column("transaction_hash", digest(32), primary_key=True),
    Column("created_ts", integer(), nullable=False),
    Index("ix_to_device_transactions_created_ts", "created_ts"),
)
"""Requests that have sent messages, by a hash of who sent them and the transaction ID."""

received_messages = Table(
    "received_messages",
    metadata,
    Column("message_hash", digest(32), primary_key=True),
    Column("received_ts", integer(), nullable=False),
    Index("ix_received_messages_received_ts", "received_ts"),
)
"""Messages to devices that other servers have sent, by a hash of the server and the message's ID."""

dehydrated_devices = Table(
    "dehydrated_devices",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("device_id", identifier(), nullable=False),
    Column("device_data", blob(), nullable=False),
    info=kept(Until.DEACTIVATION, device="device_id"),
)
"""The one device of a user's that is kept encrypted on the server (MSC3814); ``device_data`` is JSON."""
