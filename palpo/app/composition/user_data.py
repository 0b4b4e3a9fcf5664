"""What users keep, and tell each other beside events."""

from __future__ import annotations

from functools import cached_property

from palpo.app.composition.rooms import RoomServices
from palpo.services.personal.account_data import AccountData
from palpo.services.personal.filters import Filters
from palpo.services.personal.presence import PresenceTracker
from palpo.services.personal.push_rules import PushRules
from palpo.services.personal.receipts import Receipts
from palpo.services.personal.thread_subscriptions import ThreadSubscriptions
from palpo.services.personal.typing import Typing
from palpo.services.push.push_rooms import PushRooms
from palpo.services.push.thread_followers import ThreadFollowers
from palpo.services.push.unread import Unread
from palpo.services.reading.client_events import ClientEvents
from palpo.services.reading.event_relationships import EventRelationships
from palpo.services.reading.old_sync import OldSync
from palpo.services.reading.relations import Relations
from palpo.services.reading.search import Search
from palpo.services.reading.search_context import SearchContext
from palpo.services.reading.search_index import SearchIndex
from palpo.services.reading.timeline import Timeline
from palpo.services.rooms.server_notices import ServerNotices


class UserDataServices(RoomServices):
    """What users keep, and tell each other beside events."""

    @cached_property
    def push_rules(self) -> PushRules:
        return PushRules(self.db, self.wakeups, self.config.push, self.caches)

    @cached_property
    def account_data(self) -> AccountData:
        return AccountData(self.db, self.wakeups, self.push_rules, self.caches, self.quotas)

    @cached_property
    def client_events(self) -> ClientEvents:
        return ClientEvents(
            self.db,
            self.events,
            self.clock,
            self.wakeups,
            self.visibility,
            self.account_data,
            self.caches,
        )

    @cached_property
    def timeline(self) -> Timeline:
        return Timeline(
            self.db, self.events, self.room_heads, self.room_access, self.visibility, self.account_data
        )

    @cached_property
    def filters(self) -> Filters:
        return Filters(self.db, self.caches, self.quotas)

    @cached_property
    def receipts(self) -> Receipts:
        return Receipts(
            self.db, self.wakeups, self.clock, self.events, self.room_access, self.threads, self.caches
        )

    @cached_property
    def typing(self) -> Typing:
        return Typing(self.db, self.wakeups, self.clock, self.room_access, self.caches)

    @cached_property
    def presence(self) -> PresenceTracker:
        return PresenceTracker(
            self.db,
            self.wakeups,
            self.clock,
            self.config.presence,
            self.caches,
            server_name=self.server_name,
        )

    @cached_property
    def push_rooms(self) -> PushRooms:
        return PushRooms(self.db, self.wakeups, self.events, self.room_heads, self.caches)

    @cached_property
    def unread(self) -> Unread:
        unread = Unread(
            self.db,
            self.wakeups,
            self.events,
            self.recent_events,
            self.push_rooms,
            self.threads,
            self.push_rules,
            self.account_data,
            self.thread_followers,
            self.caches,
        )
        self.push_rules.before_change(unread.settle)
        return unread

    @cached_property
    def thread_followers(self) -> ThreadFollowers:
        return ThreadFollowers(self.db, self.wakeups, self.threads, self.caches)

    @cached_property
    def search_index(self) -> SearchIndex:
        return SearchIndex(self.db, self.events)

    @cached_property
    def thread_subscriptions(self) -> ThreadSubscriptions:
        subscriptions = ThreadSubscriptions(self.db, self.events, self.visibility, self.wakeups, self.quotas)
        if self.config.push.thread_subscriptions:
            subscriptions.before_change(self.unread.settle)
        return subscriptions

    @cached_property
    def server_notices(self) -> ServerNotices:
        return ServerNotices(
            self.config.server_notices,
            self.db,
            self.clock,
            self.profiles,
            self.room_access,
            self.room_creation,
            self.room_writer,
            self.account_data,
            server_name=self.server_name,
        )

    @cached_property
    def old_sync(self) -> OldSync:
        return OldSync(
            self.db,
            self.events,
            self.wakeups,
            self.waiting,
            self.room_access,
            self.timeline,
            self.visibility,
            self.room_directory,
            self.account_data,
            self.invite_permissions,
        )

    @cached_property
    def relations(self) -> Relations:
        return Relations(self.db, self.events, self.visibility, self.timeline, self.account_data)

    @cached_property
    def event_relationships(self) -> EventRelationships:
        return EventRelationships(self.db, self.events, self.visibility, self.timeline)

    @cached_property
    def search(self) -> Search:
        return Search(
            self.db, self.search_index, self.events, self.room_heads, self.visibility, self.timeline
        )

    @cached_property
    def search_context(self) -> SearchContext:
        return SearchContext(self.events, self.room_access, self.timeline)
