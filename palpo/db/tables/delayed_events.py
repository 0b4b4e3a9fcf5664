"""Events that are sent later (MSC4140)."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import blob, digest, identifier, integer, metadata

delayed_events = Table(
    "delayed_events",
    metadata,
    Column("delay_id", identifier(), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("device_id", identifier()),
    Column("room_id", identifier(), nullable=False),
    Column("type", identifier(), nullable=False),
    Column("state_key", identifier()),
    Column("content", blob(), nullable=False),
    Column("delay_ms", integer(), nullable=False),
    Column("running_since_ts", integer(), nullable=False),
    Column("send_ts", integer(), nullable=False),
    Column("replaces", identifier()),
    Column("transaction_hash", digest(16)),
    Column("finished_ts", integer()),
    Index("ix_delayed_events_user_id", "user_id"),
    Index("ix_delayed_events_finished_ts_send_ts", "finished_ts", "send_ts"),
    Index("ix_delayed_events_transaction_hash", "transaction_hash"),
)
"""``replaces`` is the state event that was there when it was scheduled; ``transaction_hash`` the request
that scheduled it. Those with a ``finished_ts`` were sent or cancelled, and are only kept for a while so
that the same request is known again."""
