"""Events and states of rooms: how they are made, kept, and who may see them."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.history.admission import Admission
from palpo.services.history.auth_chains import AuthChains
from palpo.services.history.beginnings import Beginnings
from palpo.services.history.blocked_rooms import BlockedRooms
from palpo.services.history.completions import Completions
from palpo.services.history.event_store import EventStore
from palpo.services.history.outside_memberships import OutsideMemberships
from palpo.services.history.recent_events import RecentEvents
from palpo.services.history.retention import Retention
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_builder import RoomBuilder
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.room_writer import RoomWriter
from palpo.services.history.server_visibility import ServerVisibility
from palpo.services.history.state_at import StateAt
from palpo.services.history.state_import import StateImport
from palpo.services.history.threads import Threads
from palpo.services.history.visibility import Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryServices:
    """Those that other areas use, and the API."""

    admission: Admission
    beginnings: Beginnings
    blocked_rooms: BlockedRooms
    completions: Completions
    auth_chains: AuthChains
    events: EventStore
    outside_memberships: OutsideMemberships
    recent_events: RecentEvents
    retention: Retention
    room_access: RoomAccess
    room_builder: RoomBuilder
    room_heads: RoomHeads
    room_writer: RoomWriter
    server_visibility: ServerVisibility
    state_at: StateAt
    state_import: StateImport
    threads: Threads
    visibility: Visibility
