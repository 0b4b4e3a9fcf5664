"""What a Synapse has of rooms beside their events, each in pages by a key."""

from __future__ import annotations

from sqlalchemy import select

from palpo.db.synapse.rooms import (
    blocked_rooms,
    event_reports,
    local_current_membership,
    receipts_linearized,
    room_aliases,
    room_memberships,
    room_reports,
    rooms,
    user_reports,
)
from palpo.db.synapse.server import server_signature_keys
from palpo.storage.synapse.pages import Pages

ROOMS = Pages(rooms, "room_id")
"""``room_id``, whether the directory lists it, who has made it, its version."""
ALIASES = Pages(room_aliases, "room_alias")
"""Alias, room, who has made it."""
BLOCKED = Pages(blocked_rooms, "room_id")
"""Room, who has blocked it."""
_r = receipts_linearized.c
RECEIPTS = Pages(
    receipts_linearized,
    "stream_id",
    of=select(_r.stream_id, _r.room_id, _r.receipt_type, _r.user_id, _r.event_id, _r.thread_id, _r.data),
)
EVENT_REPORTS = Pages(event_reports, "id")
ROOM_REPORTS = Pages(room_reports, "id")
USER_REPORTS = Pages(user_reports, "id")
_l, _m = local_current_membership.c, room_memberships.c
LOCAL = Pages(
    local_current_membership,
    "room_id",
    "user_id",
    of=select(_l.room_id, _l.user_id, _l.event_id, _l.membership, _m.forgotten).join(
        room_memberships, _m.event_id == _l.event_id, isouter=True
    ),
)
"""Room, user of this server, event, membership, whether it is forgotten."""
SERVER_KEYS = Pages(server_signature_keys, "server_name", "key_id")
"""Server, key, until when it is valid in milliseconds, its 32 bytes."""
