"""Which threads users follow (MSC4306)."""

from sqlalchemy import Column, Index, Table, func

from palpo.core.records.quotas import Kind
from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import flag, identifier, integer, metadata

thread_subscriptions = Table(
    "thread_subscriptions",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("room_id", identifier(), primary_key=True),
    Column("root_id", identifier(), primary_key=True),
    Column("subscribed", flag(), nullable=False),
    Column("automatic", flag(), nullable=False),
    Column("position", integer(), nullable=False),
    Index("ix_thread_subscriptions_root_id", "root_id"),
    Index("ix_thread_subscriptions_user_id_position", "user_id", "position"),
    info=kept(
        Until.ALWAYS,
        why="It says no more than the thread's events",
        counted={Kind.THREAD_SUBSCRIPTIONS: func.count()},
    ),
)
"""A row that is not ``subscribed`` remembers when the user stopped following."""
