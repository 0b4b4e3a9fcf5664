"""Table of what waits to be sent to application services."""

from sqlalchemy import Column, Table

from palpo.db.tables.meta import blob, identifier, integer, metadata

appservice_queues = Table(
    "appservice_queues",
    metadata,
    Column("appservice_id", identifier(), primary_key=True),
    Column("prefix", identifier(), nullable=False),
    Column("number", integer(), nullable=False),
    Column("body", blob()),
    Column("next_prefix", identifier()),
)
"""The last transaction of each application service: its ID is made of ``prefix``, which no other
database has, and ``number``; ``body`` is NULL once it has been acknowledged. ``next_prefix``, where there
is one, takes the place of ``prefix`` with the next. What comes after it is read
from the streams, beginning at the position of the consumer ``appservice:ID``."""
