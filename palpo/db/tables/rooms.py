"""Tables of rooms, their events, their state and who is in them."""

from sqlalchemy import Column, Index, Table, text

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, digest, flag, identifier, integer, metadata, state_key

rooms = Table(
    "rooms",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("version", identifier(), nullable=False),
    Column("create_event_id", identifier(), nullable=False),
    Column("head", integer(), nullable=False),
    Column("extremities", blob(), nullable=False),
    Column("depth", integer(), nullable=False),
    Column("place", integer(), nullable=False, server_default="0"),
    Column("state_root", digest(16), nullable=False),
    Column("position", integer(), nullable=False),
    Column("floor", integer(), nullable=False, server_default="0"),
    Column("newest_outgoing", identifier()),
    Column("rerooted", integer(), nullable=False, server_default="0"),
    Column("whole_from", integer(), nullable=False, server_default="0"),
)
"""``head`` counts the writes to the room: whoever writes compares it first. ``extremities`` is a JSON
array of the event IDs that nothing refers to yet, ``depth`` the greatest depth among them, ``place`` the
greatest of all the room's events, ``state_root`` the current state, ``position`` the last event's, ``floor``
the lowest that an event has: those of the past have positions below 0, counted downwards; ``rerooted`` the
last one in ``room_roots``, 0 if there is none; ``newest_outgoing`` is the last event that this server tells
others of. ``whole_from`` is below 0 while members are missing in the state (MSC3902), and then the position
from which on they are not; 0 where they never were."""

events = Table(
    "events",
    metadata,
    Column("event_id", identifier(), primary_key=True),
    Column("room_id", identifier(), nullable=False),
    Column("position", integer(), nullable=False),
    Column("place", integer(), nullable=False),
    Column("type", identifier(), nullable=False),
    Column("state_key", state_key()),
    Column("sender", identifier(), nullable=False),
    Column("origin_server_ts", integer(), nullable=False),
    Column("state_before", digest(16), nullable=False),
    Column("state_after", digest(16), nullable=False),
    Column("room_state", digest(16), nullable=False),
    Column("status", flag(), nullable=False),
    Column("after_gap", flag(), nullable=False, server_default="0"),
    Column("outgoing", flag(), nullable=False, server_default="0"),
    Column("redacted_by", identifier()),
    Column("chain", integer()),
    Column("chain_seq", integer()),
    Column("pdu", blob(), nullable=False),
    Index("ix_events_position", "position"),
    Index("ix_events_room_id_position", "room_id", "position"),
    Index("ix_events_room_id_place_position", "room_id", "place", "position"),
    Index("ix_events_room_id_origin_server_ts", "room_id", "origin_server_ts"),
    Index(
        "ix_events_chain_chain_seq",
        "chain",
        "chain_seq",
        unique=True,
        sqlite_where=text("chain IS NOT NULL"),
        postgresql_where=text("chain IS NOT NULL"),
    ),
    info=kept(Until.ALWAYS, user="sender", why="It is the room's history"),
)
"""``place`` is where the event stands in the room's timeline, as this server counts: the depth that its
sender claims decides nothing here. ``state_before`` and ``state_after`` are the state at the event;
``room_state`` is the room's current state once the event was in, which differs from ``state_after`` where
the room has forks. ``after_gap`` says that events before it were not here when it came, ``outgoing`` that
this server is who tells others of it.

``chain`` and ``chain_seq`` say where a state event stands in the index of auth chains
(``core.auth_chains``). A chain's number is one of the stream positions taken for the events it began with,
or was drawn at random, below 0, where these came with a state from elsewhere and took none: so it is
unique."""

event_edges = Table(
    "event_edges",
    metadata,
    Column("prev_event_id", identifier(), primary_key=True),
    Column("event_id", identifier(), primary_key=True),
    Column("room_id", identifier(), nullable=False),
    Column("place", integer(), nullable=False),
    Index("ix_event_edges_room_id_place", "room_id", "place"),
)
"""Events of rooms that refer to one before them that is not here, each with its own place."""

backward_extremities = Table(
    "backward_extremities",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("event_id", identifier(), primary_key=True),
    Column("tries", integer(), nullable=False),
    Column("tried_ts", integer(), nullable=False),
)
"""Of the events that are not here, those that others have been asked for: how often, and when last."""

room_roots = Table(
    "room_roots",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("position", integer(), primary_key=True, autoincrement=False),
    Column("state_root", digest(16), nullable=False),
)
"""What a room's current state became at positions of the stream where no event of its timeline says so."""

partial_rooms = Table(
    "partial_rooms",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("event_id", identifier(), nullable=False),
    Column("place", integer(), nullable=False),
    Column("position", integer(), nullable=False),
    Column("via", identifier(), nullable=False),
    Column("servers", blob(), nullable=False),
    Column("tries", integer(), nullable=False),
    Column("next_ts", integer(), nullable=False),
    Index("ix_partial_rooms_next_ts", "next_ts"),
)
"""Rooms of whose state members are missing: from the join ``event_id`` on, which stands at ``place`` and
``position``, and was sent to the server ``via``. ``servers`` is a JSON array of those that it says are in the
room. The state has been asked for ``tries`` times in vain, and is again at ``next_ts``."""

auth_chain_links = Table(
    "auth_chain_links",
    metadata,
    Column("from_chain", integer(), primary_key=True, autoincrement=False),
    Column("from_seq", integer(), primary_key=True, autoincrement=False),
    Column("to_chain", integer(), primary_key=True, autoincrement=False),
    Column("to_seq", integer(), nullable=False),
    sqlite_with_rowid=False,
)
"""What a chain's events rest on from ``from_seq`` on: another chain up to ``to_seq``."""

event_relations = Table(
    "event_relations",
    metadata,
    Column("event_id", identifier(), primary_key=True),
    Column("room_id", identifier(), nullable=False),
    Column("target_id", identifier(), nullable=False),
    Column("rel_type", identifier(), nullable=False),
    Column("type", identifier(), nullable=False),
    Column("sender", identifier(), nullable=False),
    Column("place", integer(), nullable=False),
    Column("position", integer(), nullable=False),
    Index("ix_event_relations_target_id_rel_type", "target_id", "rel_type"),
    Index("ix_event_relations_room_id_rel_type", "room_id", "rel_type"),
    info=kept(Until.ALWAYS, user="sender", why="It is the room's history"),
)

event_transactions = Table(
    "event_transactions",
    metadata,
    Column("transaction_hash", digest(16), primary_key=True),
    Column("event_id", identifier(), nullable=False),
    Column("device_id", identifier()),
    Column("transaction_id", identifier(), nullable=False),
    Column("delay_id", identifier()),
    Column("created_ts", integer(), nullable=False),
    Index("ix_event_transactions_created_ts", "created_ts"),
    Index("ix_event_transactions_event_id", "event_id"),
)
"""Requests that have made an event, by a hash of who sent them, where, and the transaction ID.

Where there is a ``delay_id``, it was no request, but the delayed event's time that came (MSC4140)."""

pending_redactions = Table(
    "pending_redactions",
    metadata,
    Column("target_id", identifier(), primary_key=True),
    Column("redaction_id", identifier(), primary_key=True),
    Column("may_redact_others", flag(), nullable=False),
)
"""Redactions that came before what they redact."""

state_nodes = Table(
    "state_nodes",
    metadata,
    Column("hash", digest(16), primary_key=True),
    Column("node", blob(), nullable=False),
)

orphaned_nodes = Table(
    "orphaned_nodes",
    metadata,
    Column("hash", digest(16), primary_key=True),
    Column("found_ts", integer(), nullable=False),
    Column("node", blob()),
    Index("ix_orphaned_nodes_found_ts", "found_ts"),
)
"""Nodes that no state had when that was looked at, and when. They are set aside here for a while: what is
being fetched of a room is stored before anything rests on it, and who reads a node looks here last. ``node``
is NULL in no row: the column is younger than the table."""

memberships = Table(
    "memberships",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("user_id", identifier(), primary_key=True),
    Column("membership", identifier(), nullable=False),
    Column("event_id", identifier(), nullable=False),
    Column("sender", identifier(), nullable=False),
    Column("position", integer(), nullable=False),
    Column("forgotten", flag(), nullable=False),
    Column("stripped_state", blob()),
    Index("ix_memberships_user_id_membership", "user_id", "membership"),
    Index("ix_memberships_user_id_position", "user_id", "position"),
    Index("ix_memberships_room_id_membership", "room_id", "membership"),
    info=kept(Until.ALWAYS, why="It is the room's state"),
)
"""Everyone's latest membership of each room: the current state's, turned into rows. ``stripped_state``
is the JSON array that an invite or a knock shows."""

blocked_rooms = Table(
    "blocked_rooms",
    metadata,
    Column("room_id", identifier(), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("blocked_ts", integer(), nullable=False),
    info=kept(Until.ALWAYS, why="Who has blocked a room is for the other administrators to know"),
)
"""Rooms that users of this server cannot join, nor be invited to; they need not be here."""
