"""Tables of the servers that are told of what happens here."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import blob, identifier, integer, metadata, text

destinations = Table(
    "destinations",
    metadata,
    Column("server_name", identifier(), primary_key=True),
    Column("sent_upto", integer(), nullable=False),
    Column("failures", integer(), nullable=False),
    Column("failing_since_ts", integer(), nullable=False),
    Column("retry_ts", integer(), nullable=False),
    Column("error", text(), nullable=False),
)
"""Those that have not been told of everything up to where the sender is: ``sent_upto`` is the position of the
stream up to which they have, ``failures`` how often they could not be told since they last could, the last
time for the reason ``error``, and ``retry_ts`` when they are tried again."""

destination_edus = Table(
    "destination_edus",
    metadata,
    Column("destination", identifier(), primary_key=True),
    Column("edu_type", identifier(), primary_key=True),
    Column("edu_key", identifier(), primary_key=True),
    Column("position", integer(), nullable=False),
    Column("content", blob(), nullable=False),
    Index("ix_destination_edus_destination_position", "destination", "position"),
)
"""EDUs that must not be lost: messages to devices, and that device lists have changed. A new one of the same
``edu_key`` takes the place of the one before."""
