"""Tables of push rules, pushers and what is to be pushed."""

from sqlalchemy import Column, Index, Table, func

from palpo.core.records.quotas import Kind
from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, digest, identifier, integer, metadata, text

push_rules = Table(
    "push_rules",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("custom", blob(), nullable=False),
    Column("position", integer(), nullable=False),
    info=kept(Until.ERASURE),
)
"""What of their rules is the users' own, as JSON (``core.push_rules.Customisation``)."""

pushers = Table(
    "pushers",
    metadata,
    Column("pusher_hash", digest(16), primary_key=True),
    Column("target_hash", digest(16), nullable=False),
    Column("user_id", identifier(), nullable=False),
    Column("device_id", identifier()),
    Column("app_id", identifier(), nullable=False),
    Column("pushkey", text(), nullable=False),
    Column("kind", identifier(), nullable=False),
    Column("app_display_name", text(), nullable=False),
    Column("device_display_name", text(), nullable=False),
    Column("profile_tag", text()),
    Column("lang", text(), nullable=False),
    Column("data", blob(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    Column("position", integer(), nullable=False),
    Index("ix_pushers_user_id", "user_id"),
    Index("ix_pushers_target_hash", "target_hash"),
    info=kept(Until.DEACTIVATION, device="device_id", counted={Kind.PUSHERS: func.count()}),
)
"""``pusher_hash`` stands for user, app ID and pushkey, ``target_hash`` for app ID and pushkey, whoever's.
``position`` is where the stream was when the pusher was last set: it is told of what comes after."""

push_queue = Table(
    "push_queue",
    metadata,
    Column("pusher_hash", digest(16), primary_key=True),
    Column("position", integer(), primary_key=True, autoincrement=False),
    Column("event_id", identifier()),
    Column("actions", blob(), nullable=False),
    Column("created_ts", integer(), nullable=False),
)
"""What a pusher has not delivered yet, in order. ``position`` is an event's or a receipt's; without an event
it is about the number of unread messages only. ``actions`` is the JSON array of the rule that matched."""

pusher_states = Table(
    "pusher_states",
    metadata,
    Column("pusher_hash", digest(16), primary_key=True),
    Column("retry_ts", integer(), nullable=False),
    Column("failures", integer(), nullable=False),
    Column("badge", integer(), nullable=False),
    Index("ix_pusher_states_retry_ts", "retry_ts"),
)
"""How delivery goes: nothing is delivered before ``retry_ts``, ``failures`` counts the attempts since one
succeeded, ``badge`` is the number of unread messages that was last told (-1: none was)."""
