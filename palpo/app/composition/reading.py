"""How clients read rooms outside of sync."""

from __future__ import annotations

from palpo.services.accounts import AccountServices
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.reading import ReadingServices
from palpo.services.reading.client_events import ClientEvents
from palpo.services.reading.event_relationships import EventRelationships
from palpo.services.reading.old_sync import OldSync
from palpo.services.reading.relations import Relations
from palpo.services.reading.search import Search
from palpo.services.reading.search_context import SearchContext
from palpo.services.reading.search_index import SearchIndex
from palpo.services.reading.timeline import Timeline
from palpo.services.reading.user_directory import UserDirectory
from palpo.services.reading.waiting import Waiting
from palpo.services.rooms import RoomServices
from palpo.services.server import Server


def build_reading(
    server: Server,
    accounts: AccountServices,
    history: HistoryServices,
    personal: PersonalServices,
    rooms: RoomServices,
) -> ReadingServices:
    """How clients read rooms outside of sync."""
    db, clock, wakeups = server.db, server.clock, server.wakeups
    events, heads, access = history.events, history.room_heads, history.room_access
    visibility, account_data = history.visibility, personal.account_data
    timeline = Timeline(db, events, heads, access, visibility, account_data)
    user_directory = UserDirectory(db, heads)
    search_index = SearchIndex(db, wakeups, events, user_directory)
    waiting = Waiting(wakeups, accounts.sessions, clock)
    return ReadingServices(
        client_events=ClientEvents(
            db, events, clock, wakeups, visibility, account_data, history.state_at, server.caches
        ),
        event_relationships=EventRelationships(db, events, visibility, timeline),
        old_sync=OldSync(
            db,
            history,
            wakeups,
            waiting,
            timeline,
            rooms.room_directory,
            account_data,
            personal.invite_permissions,
        ),
        relations=Relations(db, events, visibility, timeline, account_data),
        search=Search(db, search_index, events, heads, visibility, timeline),
        search_context=SearchContext(events, access, timeline),
        search_index=search_index,
        timeline=timeline,
        user_directory=user_directory,
        waiting=waiting,
    )
