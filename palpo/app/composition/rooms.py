"""Rooms, their history and who is in them."""

from __future__ import annotations

from functools import cached_property

from palpo.app.composition.accounts import AccountServices
from palpo.app.composition.base import random_id
from palpo.services.encryption.device_lists import DeviceLists
from palpo.services.history.erasures import Erasures
from palpo.services.history.event_store import EventStore
from palpo.services.history.recent_events import RecentEvents
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_builder import RoomBuilder
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.room_writer import RoomWriter
from palpo.services.history.threads import Threads
from palpo.services.history.visibility import Visibility
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.services.reading.user_directory import UserDirectory
from palpo.services.rooms.aliases import Aliases
from palpo.services.rooms.delayed_events import DelayedEvents
from palpo.services.rooms.memberships import Memberships
from palpo.services.rooms.reports import Reports
from palpo.services.rooms.restricted_joins import RestrictedJoins
from palpo.services.rooms.room_creation import RoomCreation
from palpo.services.rooms.room_directory import RoomDirectory
from palpo.services.rooms.room_overviews import Overviews
from palpo.services.rooms.room_state import RoomState
from palpo.services.rooms.room_succession import RoomSuccession
from palpo.services.rooms.room_summaries import RoomSummaries
from palpo.services.rooms.room_upgrades import RoomUpgrades
from palpo.services.rooms.sending import Sending
from palpo.services.rooms.third_party_invites import ThirdPartyInvites
from palpo.services.rooms.user_rooms import UserRooms


class RoomServices(AccountServices):
    """Rooms, their history and who is in them."""

    @cached_property
    def events(self) -> EventStore:
        return EventStore(self.db, self.wakeups, self.caches)

    @cached_property
    def room_heads(self) -> RoomHeads:
        return RoomHeads(self.db, self.events, self.wakeups, self.caches)

    @cached_property
    def room_builder(self) -> RoomBuilder:
        return RoomBuilder(
            self.events,
            self.room_heads,
            self.clock,
            server_name=self.server_name,
            key=self.key,
            random_id=random_id,
        )

    @cached_property
    def recent_events(self) -> RecentEvents:
        return RecentEvents(self.db, self.room_heads, self.caches)

    @cached_property
    def room_writer(self) -> RoomWriter:
        return RoomWriter(
            self.db,
            self.events,
            self.room_heads,
            self.room_builder,
            self.recent_events,
            self.quotas,
            self.wakeups,
            self.clock,
        )

    @cached_property
    def room_access(self) -> RoomAccess:
        return RoomAccess(self.db, self.events, self.room_heads)

    @cached_property
    def visibility(self) -> Visibility:
        return Visibility(
            self.events,
            self.room_heads,
            self.room_access,
            Erasures(self.db, self.wakeups, self.caches),
            self.caches,
        )

    @cached_property
    def user_rooms(self) -> UserRooms:
        return UserRooms(self.db, self.wakeups, self.caches)

    @cached_property
    def overviews(self) -> Overviews:
        return Overviews(self.db, self.events, self.wakeups, self.caches)

    @cached_property
    def room_directory(self) -> RoomDirectory:
        return RoomDirectory(
            self.db,
            self.room_heads,
            self.room_access,
            self.overviews,
            self.wakeups,
            self.caches,
            server_name=self.server_name,
        )

    @cached_property
    def restricted_joins(self) -> RestrictedJoins:
        return RestrictedJoins(self.db, self.room_heads, self.room_access, server_name=self.server_name)

    @cached_property
    def room_succession(self) -> RoomSuccession:
        return RoomSuccession(self.room_heads, self.room_access)

    @cached_property
    def aliases(self) -> Aliases:
        return Aliases(
            self.db,
            self.clock,
            self.room_heads,
            self.room_access,
            self.room_writer,
            self.appservices,
            self.quotas,
            server_name=self.server_name,
        )

    @cached_property
    def invite_permissions(self) -> InvitePermissions:
        return InvitePermissions(self.db)

    @cached_property
    def memberships(self) -> Memberships:
        return Memberships(
            self.db,
            self.room_heads,
            self.room_writer,
            self.profiles,
            self.restricted_joins,
            self.room_succession,
            self.invite_permissions,
            server_name=self.server_name,
        )

    @cached_property
    def room_creation(self) -> RoomCreation:
        return RoomCreation(
            self.clock,
            self.room_writer,
            self.aliases,
            self.room_directory,
            self.profiles,
            self.room_succession,
            self.memberships,
            self.invite_permissions,
            server_name=self.server_name,
            default_version=self.config.rooms.default_version,
            random_id=random_id,
        )

    @cached_property
    def device_lists(self) -> DeviceLists:
        return DeviceLists(self.db, self.wakeups, self.events, self.caches)

    @cached_property
    def threads(self) -> Threads:
        return Threads(self.events)

    @cached_property
    def room_state(self) -> RoomState:
        return RoomState(
            self.db,
            self.events,
            self.room_heads,
            self.room_access,
            self.room_writer,
            self.memberships,
            self.aliases,
            self.appservices,
        )

    @cached_property
    def sending(self) -> Sending:
        return Sending(self.db, self.events, self.room_heads, self.room_writer, self.memberships)

    @cached_property
    def delayed_events(self) -> DelayedEvents:
        return DelayedEvents(
            self.db,
            self.wakeups,
            self.clock,
            self.room_access,
            self.sending,
            self.room_state,
            random_id=random_id,
        )

    @cached_property
    def third_party_invites(self) -> ThirdPartyInvites:
        return ThirdPartyInvites(
            self.room_heads,
            self.room_writer,
            self.memberships,
            self.profiles,
            self.identity_servers,
            self.http,
            server_name=self.server_name,
        )

    @cached_property
    def room_summaries(self) -> RoomSummaries:
        return RoomSummaries(
            self.db, self.events, self.room_heads, self.overviews, self.user_rooms, self.wakeups
        )

    @cached_property
    def room_upgrades(self) -> RoomUpgrades:
        return RoomUpgrades(
            self.events,
            self.room_heads,
            self.room_access,
            self.room_writer,
            self.room_creation,
            self.aliases,
            self.room_directory,
        )

    @cached_property
    def reports(self) -> Reports:
        return Reports(
            self.db,
            self.clock,
            self.events,
            self.room_heads,
            self.room_access,
            self.quotas,
            server_name=self.server_name,
        )

    @cached_property
    def user_directory(self) -> UserDirectory:
        return UserDirectory(self.db, self.room_heads)
