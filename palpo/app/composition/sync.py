"""What is new to a device."""

from __future__ import annotations

import secrets

from palpo.services.encryption import EncryptionServices
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.push import PushServices
from palpo.services.reading import ReadingServices
from palpo.services.rooms import RoomServices
from palpo.services.server import Server
from palpo.sync import SyncServices
from palpo.sync.extras import RoomExtras
from palpo.sync.feed import Feed
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


def build_sync(
    server: Server,
    history: HistoryServices,
    encryption: EncryptionServices,
    personal: PersonalServices,
    rooms: RoomServices,
    reading: ReadingServices,
    push: PushServices,
) -> SyncServices:
    """What is new to a device."""
    feed = Feed(server, reading.waiting)
    db, wakeups, caches = server.db, server.wakeups, server.caches
    events, heads = history.events, history.room_heads
    timelines = Timelines(history.recent_events, events, heads, history.visibility)
    sent = SentMembers(caches)
    states = StateDeltas(events, Outlines(events, caches), sent)
    summaries = Summaries(db, events, wakeups, caches)
    redacted = RedactedState(db, wakeups, events, caches)
    left = LeftRooms(events, timelines, states, history.room_access)
    connections = Connections(db, server.clock, caches, random_tag=lambda: secrets.token_hex(6))
    return SyncServices(
        connections=connections,
        filters=SyncFilters(personal.filters, caches),
        sliding=SlidingSync(
            db,
            feed,
            connections,
            UserLists(
                db,
                wakeups,
                history,
                rooms.user_rooms,
                personal.account_data,
                personal.invite_permissions,
                Facts(events, heads, wakeups, caches),
                caches,
            ),
            SlidingRooms(
                events,
                timelines,
                left,
                summaries,
                redacted,
                BumpStamps(history.recent_events, events, caches),
                sent,
            ),
            Extensions(
                db,
                encryption.to_device,
                encryption.device_lists,
                encryption.keys,
                personal.account_data,
                personal.receipts,
                personal.typing,
                personal.thread_subscriptions,
            ),
            reading.client_events,
            push.unread,
        ),
        v3=SyncV3(
            feed,
            rooms.user_rooms,
            personal.invite_permissions,
            JoinedRooms(timelines, states, summaries, redacted),
            left,
            RoomExtras(
                db,
                personal.account_data,
                personal.receipts,
                personal.typing,
                push.unread,
                personal.presence,
            ),
            reading.client_events,
            encryption,
        ),
    )
