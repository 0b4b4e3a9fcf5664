"""What users do with rooms."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.rooms.aliases import Aliases
from palpo.services.rooms.delayed_events import DelayedEvents
from palpo.services.rooms.memberships import Memberships
from palpo.services.rooms.reports import Reports
from palpo.services.rooms.restricted_joins import RestrictedJoins
from palpo.services.rooms.room_creation import RoomCreation
from palpo.services.rooms.room_directory import RoomDirectory
from palpo.services.rooms.room_overviews import Overviews
from palpo.services.rooms.room_state import RoomState
from palpo.services.rooms.room_summaries import RoomSummaries
from palpo.services.rooms.room_upgrades import RoomUpgrades
from palpo.services.rooms.sending import Sending
from palpo.services.rooms.server_notices import ServerNotices
from palpo.services.rooms.third_party_invites import ThirdPartyInvites
from palpo.services.rooms.user_rooms import UserRooms


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomServices:
    """Those that other areas use, and the API."""

    aliases: Aliases
    delayed_events: DelayedEvents
    memberships: Memberships
    overviews: Overviews
    reports: Reports
    restricted_joins: RestrictedJoins
    room_creation: RoomCreation
    room_directory: RoomDirectory
    room_state: RoomState
    room_summaries: RoomSummaries
    room_upgrades: RoomUpgrades
    sending: Sending
    server_notices: ServerNotices
    third_party_invites: ThirdPartyInvites
    user_rooms: UserRooms
