"""Events and states of rooms."""

from __future__ import annotations

from palpo.app.composition.hooks import Hooks
from palpo.services.history import HistoryServices
from palpo.services.history.admission import Admission
from palpo.services.history.auth_chains import AuthChains
from palpo.services.history.beginnings import Beginnings
from palpo.services.history.blocked_rooms import BlockedRooms
from palpo.services.history.completions import Completions
from palpo.services.history.erasures import Erasures
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
from palpo.services.history.state_resolver import StateResolver
from palpo.services.history.threads import Threads
from palpo.services.history.visibility import Visibility
from palpo.services.server import Server


def build_history(server: Server, hooks: Hooks) -> HistoryServices:
    db, clock, wakeups, caches = server.db, server.clock, server.wakeups, server.caches
    events = EventStore(db, wakeups, caches)
    heads = RoomHeads(db, events, wakeups, caches)
    chains = AuthChains(db)
    admission = Admission(db, events, StateResolver(events, chains))
    builder = RoomBuilder(
        events,
        heads,
        admission,
        db,
        clock,
        server_name=server.name,
        key=server.key,
        random_id=server.random_id,
    )
    recent = RecentEvents(db, heads, caches, wakeups)
    access = RoomAccess(db, events, heads)
    state_at = StateAt(events, caches)
    erasures = Erasures(db, wakeups, caches)
    chains = AuthChains(db)
    admission = Admission(db, events, StateResolver(events, chains))
    beginnings = Beginnings(db, events, admission, server_name=server.name)
    retention = Retention(server.config.retention, server.clock, events, heads, caches)
    blocked = BlockedRooms(db, server.clock, wakeups, caches)
    return HistoryServices(
        admission=admission,
        auth_chains=chains,
        beginnings=beginnings,
        blocked_rooms=blocked,
        completions=Completions(db, server.clock, events, heads, admission, beginnings, access, wakeups),
        events=events,
        outside_memberships=OutsideMemberships(db, blocked),
        recent_events=recent,
        retention=retention,
        room_access=access,
        room_builder=builder,
        room_heads=heads,
        room_writer=RoomWriter(server, events, heads, builder, recent, hooks.countersign),
        server_visibility=ServerVisibility(db, events, state_at, erasures),
        state_at=state_at,
        state_import=StateImport(db, events, clock),
        threads=Threads(events),
        visibility=Visibility(
            events, heads, access, erasures, state_at, retention if retention.enabled else None
        ),
    )
