"""The container of services: made once by ``palpo.app``, seen by handlers and by nothing below."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.config.model import Config
from palpo.db.engine import Database
from palpo.media.images import ImageWorkers
from palpo.net.email import Mailer
from palpo.net.http_client import HttpClient
from palpo.services.accounts.accounts import Accounts
from palpo.services.accounts.appservices import AppServices
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.accounts.devices import Devices
from palpo.services.accounts.identity_servers import IdentityServers
from palpo.services.accounts.last_seen import LastSeen
from palpo.services.accounts.logins import Logins
from palpo.services.accounts.openid import OpenId
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.registration import Registration
from palpo.services.accounts.registration_tokens import RegistrationTokens
from palpo.services.accounts.sessions import Sessions
from palpo.services.accounts.threepids import ThirdPartyIds
from palpo.services.accounts.user_interactive_auth import UserInteractiveAuth
from palpo.services.appservices.appservice_client import AppserviceClient
from palpo.services.appservices.appservice_queries import AppserviceQueries
from palpo.services.encryption.cross_signing import CrossSigning
from palpo.services.encryption.dehydrated_devices import DehydratedDevices
from palpo.services.encryption.device_lists import DeviceLists
from palpo.services.encryption.key_backups import KeyBackups
from palpo.services.encryption.keys import Keys
from palpo.services.encryption.to_device import ToDevice
from palpo.services.history.event_store import EventStore
from palpo.services.history.recent_events import RecentEvents
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.room_writer import RoomWriter
from palpo.services.history.visibility import Visibility
from palpo.services.media.media import Media
from palpo.services.media.media_cleanup import MediaCleanup
from palpo.services.media.url_previews import UrlPreviews
from palpo.services.personal.account_data import AccountData
from palpo.services.personal.filters import Filters
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.services.personal.presence import PresenceTracker
from palpo.services.personal.push_rules import PushRules
from palpo.services.personal.receipts import Receipts
from palpo.services.personal.thread_subscriptions import ThreadSubscriptions
from palpo.services.personal.typing import Typing
from palpo.services.push.notifications import Notifications
from palpo.services.push.push_delivery import PushDelivery
from palpo.services.push.push_judge import PushJudge
from palpo.services.push.pushers import Pushers
from palpo.services.push.unread import Unread
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
from palpo.services.rooms.aliases import Aliases
from palpo.services.rooms.delayed_events import DelayedEvents
from palpo.services.rooms.memberships import Memberships
from palpo.services.rooms.reports import Reports
from palpo.services.rooms.room_creation import RoomCreation
from palpo.services.rooms.room_directory import RoomDirectory
from palpo.services.rooms.room_state import RoomState
from palpo.services.rooms.room_succession import RoomSuccession
from palpo.services.rooms.room_summaries import RoomSummaries
from palpo.services.rooms.room_upgrades import RoomUpgrades
from palpo.services.rooms.sending import Sending
from palpo.services.rooms.server_notices import ServerNotices
from palpo.services.rooms.third_party_invites import ThirdPartyInvites
from palpo.services.server.health import Health
from palpo.services.server.quotas import Quotas
from palpo.services.server.server_keys import ServerKeys
from palpo.streams.background import Background
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups
from palpo.sync.filters import SyncFilters
from palpo.sync.sliding.service import SlidingSync
from palpo.sync.v3 import SyncV3


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Every use case that the API offers."""

    config: Config
    clock: Clock
    db: Database
    wakeups: Wakeups
    background: Background
    caches: CacheBudget
    quotas: Quotas
    sessions: Sessions
    waiting: Waiting
    appservices: AppServices
    appservice_client: AppserviceClient
    appservice_queries: AppserviceQueries
    device_removal: DeviceRemoval
    logins: Logins
    registration: Registration
    registration_tokens: RegistrationTokens
    mailer: Mailer | None
    """None where the server sends no email."""
    threepids: ThirdPartyIds
    identity_servers: IdentityServers
    third_party_invites: ThirdPartyInvites
    interactive_auth: UserInteractiveAuth
    accounts: Accounts
    server_keys: ServerKeys
    events: EventStore
    room_heads: RoomHeads
    recent_events: RecentEvents
    room_writer: RoomWriter
    room_access: RoomAccess
    room_creation: RoomCreation
    room_directory: RoomDirectory
    room_state: RoomState
    room_succession: RoomSuccession
    invite_permissions: InvitePermissions
    room_summaries: RoomSummaries
    room_upgrades: RoomUpgrades
    reports: Reports
    aliases: Aliases
    memberships: Memberships
    client_events: ClientEvents
    sending: Sending
    server_notices: ServerNotices
    delayed_events: DelayedEvents
    thread_subscriptions: ThreadSubscriptions
    visibility: Visibility
    timeline: Timeline
    old_sync: OldSync
    relations: Relations
    event_relationships: EventRelationships
    search_index: SearchIndex
    search: Search
    search_context: SearchContext
    last_seen: LastSeen
    devices: Devices
    dehydrated_devices: DehydratedDevices
    device_lists: DeviceLists
    keys: Keys
    cross_signing: CrossSigning
    key_backups: KeyBackups
    to_device: ToDevice
    push_rules: PushRules
    profiles: Profiles
    pushers: Pushers
    push_judge: PushJudge
    push_delivery: PushDelivery
    notifications: Notifications
    user_directory: UserDirectory
    openid: OpenId
    http: HttpClient
    images: ImageWorkers
    media: Media
    media_cleanup: MediaCleanup
    health: Health
    url_previews: UrlPreviews
    account_data: AccountData
    filters: Filters
    receipts: Receipts
    typing: Typing
    presence: PresenceTracker
    unread: Unread
    sync_filters: SyncFilters
    sync: SyncV3
    sliding_sync: SlidingSync
