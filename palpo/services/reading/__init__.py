"""How clients read rooms outside of sync."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingServices:
    """Those that other areas use, and the API."""

    client_events: ClientEvents
    event_relationships: EventRelationships
    old_sync: OldSync
    relations: Relations
    search: Search
    search_context: SearchContext
    search_index: SearchIndex
    timeline: Timeline
    user_directory: UserDirectory
    waiting: Waiting
