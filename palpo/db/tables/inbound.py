"""Tables of what other servers send, and of what they could not be asked for."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.meta import blob, digest, flag, identifier, integer, metadata, text

inbound_pdus = Table(
    "inbound_pdus",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("event_id", identifier(), primary_key=True),
    Column("origin", identifier(), nullable=False),
    Column("received_ts", integer(), nullable=False),
    Column("tries", integer(), nullable=False),
    Column("next_ts", integer(), nullable=False),
    Column("pdu", blob(), nullable=False),
    Column("why", text()),
    Index("ix_inbound_pdus_next_ts", "next_ts"),
    Index("ix_inbound_pdus_received_ts", "received_ts"),
    Index("ix_inbound_pdus_origin", "origin"),
)
"""Events that could not be judged yet, since what they rest on is not here; ``origin`` has sent them last,
and ``why`` is what came of it when that was sought last, for operators."""

event_refusals = Table(
    "event_refusals",
    metadata,
    Column("event_id", identifier(), primary_key=True),
    Column("room_id", identifier(), nullable=False),
    Column("origin", identifier()),
    Column("refused_by", identifier(), nullable=False),
    Column("reason", text(), nullable=False),
    Column("refused_ts", integer(), nullable=False),
    Column("is_stored", flag(), nullable=False),
    Index("ix_event_refusals_is_stored_refused_ts", "is_stored", "refused_ts"),
)
"""Why events were not accepted when they were looked at last, for operators: which check has refused them,
and by what rule. Of those that are not stored, or not ``is_stored``, the newest are known for a while."""

inbound_transactions = Table(
    "inbound_transactions",
    metadata,
    Column("origin", identifier(), primary_key=True),
    Column("transaction_hash", digest(16), primary_key=True),
    Column("received_ts", integer(), nullable=False),
    Column("answer", blob(), nullable=False),
    Index("ix_inbound_transactions_received_ts", "received_ts"),
)
"""What each transaction was answered, of which the hash of its ID is kept: it may come once more."""

failed_fetches = Table(
    "failed_fetches",
    metadata,
    Column("server_name", identifier(), primary_key=True),
    Column("event_id", identifier(), primary_key=True),
    Column("failures", integer(), nullable=False),
    Column("next_ts", integer(), nullable=False),
    Index("ix_failed_fetches_next_ts", "next_ts"),
)
"""Events that a server was asked for, and did not give: when it may be asked again."""
