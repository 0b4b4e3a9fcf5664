"""Tables of push rules and pushers."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import blob, digest, identifier, integer, metadata, text

push_rules = Table(
    "push_rules",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("custom", blob(), nullable=False),
    Column("position", integer(), nullable=False),
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
)
"""``pusher_hash`` stands for user, app ID and pushkey, ``target_hash`` for app ID and pushkey, whoever's.
``position`` is where the stream was when the pusher was last set: it is told of what comes after."""
