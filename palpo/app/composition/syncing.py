"""What is new to a device."""

from __future__ import annotations

from functools import cached_property

from palpo.app.composition.base import random_tag
from palpo.app.composition.push import PushServices
from palpo.sync.extras import RoomExtras
from palpo.sync.filters import SyncFilters
from palpo.sync.joined import JoinedRooms
from palpo.sync.left import LeftRooms
from palpo.sync.members import SentMembers
from palpo.sync.outlines import Outlines
from palpo.sync.redacted_state import RedactedState
from palpo.sync.sliding.bumps import BumpStamps
from palpo.sync.sliding.connections import Connections
from palpo.sync.sliding.extensions import Extensions
from palpo.sync.sliding.facts import Facts
from palpo.sync.sliding.rooms import SlidingRooms
from palpo.sync.sliding.service import SlidingSync
from palpo.sync.sliding.user_lists import UserLists
from palpo.sync.state_delta import StateDeltas
from palpo.sync.summary import Summaries
from palpo.sync.timelines import Timelines
from palpo.sync.v3 import SyncV3


class SyncServices(PushServices):
    """What is new to a device."""

    @cached_property
    def timelines(self) -> Timelines:
        return Timelines(self.recent_events, self.events, self.visibility)

    @cached_property
    def states(self) -> StateDeltas:
        return StateDeltas(self.events, Outlines(self.events, self.caches), SentMembers(self.caches))

    @cached_property
    def summaries(self) -> Summaries:
        return Summaries(self.db, self.events, self.wakeups, self.caches)

    @cached_property
    def redacted_state(self) -> RedactedState:
        return RedactedState(self.db, self.wakeups, self.events, self.caches)

    @cached_property
    def left_rooms(self) -> LeftRooms:
        return LeftRooms(self.events, self.timelines, self.states, self.room_access)

    @cached_property
    def sync(self) -> SyncV3:
        return SyncV3(
            self.wakeups,
            self.stream_history,
            self.waiting,
            self.user_rooms,
            JoinedRooms(
                self.events,
                self.room_heads,
                self.timelines,
                self.states,
                self.summaries,
                self.redacted_state,
            ),
            self.left_rooms,
            RoomExtras(
                self.db,
                self.account_data,
                self.receipts,
                self.typing,
                self.unread,
                self.presence,
                self.invite_permissions,
            ),
            self.client_events,
            self.to_device,
            self.device_lists,
            self.keys,
        )

    @cached_property
    def connections(self) -> Connections:
        return Connections(self.db, self.clock, self.caches, random_tag=random_tag)

    @cached_property
    def sliding_sync(self) -> SlidingSync:
        return SlidingSync(
            self.db,
            self.wakeups,
            self.stream_history,
            self.waiting,
            self.connections,
            UserLists(
                self.db,
                self.wakeups,
                self.events,
                self.room_heads,
                self.user_rooms,
                self.account_data,
                self.invite_permissions,
                Facts(self.events, self.room_heads, self.wakeups, self.caches),
                self.caches,
            ),
            SlidingRooms(
                self.events,
                self.room_heads,
                self.timelines,
                self.left_rooms,
                self.summaries,
                self.redacted_state,
                BumpStamps(self.recent_events, self.events, self.caches),
            ),
            Extensions(
                self.db,
                self.to_device,
                self.device_lists,
                self.keys,
                self.account_data,
                self.receipts,
                self.typing,
                self.thread_subscriptions,
            ),
            self.client_events,
            self.unread,
        )

    @cached_property
    def sync_filters(self) -> SyncFilters:
        return SyncFilters(self.filters, self.caches)
