"""Events that are sent later (MSC4140)."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, digest, identifier, integer, metadata, state_key

delayed_events = Table(
    "delayed_events",
    metadata,
    Column("delay_id", identifier(), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("device_id", identifier()),
    Column("room_id", identifier(), nullable=False),
    Column("type", identifier(), nullable=False),
    Column("state_key", state_key()),
    Column("content", blob(), nullable=False),
    Column("delay_ms", integer(), nullable=False),
    Column("scheduled_ts", integer(), nullable=False),
    Column("send_ts", integer(), nullable=False),
    Column("origin_server_ts", integer()),
    Column("transaction_hash", digest(16)),
    Column("finished_ts", integer()),
    Column("event_id", identifier()),
    Column("error", blob()),
    Index("ix_delayed_events_user_id_finished_ts", "user_id", "finished_ts"),
    Index("ix_delayed_events_finished_ts_send_ts", "finished_ts", "send_ts"),
    Index("ix_delayed_events_transaction_hash", "transaction_hash", unique=True),
    info=kept(Until.DEACTIVATION),
)
"""``transaction_hash`` is the request that scheduled it. Those with a ``finished_ts`` are final: sent, where
there is an ``event_id``; failed, where there is an ``error`` (JSON); else cancelled."""
