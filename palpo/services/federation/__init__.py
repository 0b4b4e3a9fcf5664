"""What servers ask each other."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.federation.asking.remote_device_lists import RemoteDeviceLists
from palpo.services.federation.asking.remote_directory import RemoteDirectories
from palpo.services.federation.asking.remote_hierarchy import RemoteHierarchy
from palpo.services.federation.asking.remote_relationships import RemoteEventRelationships
from palpo.services.federation.asking.remote_timestamps import RemoteTimestamps
from palpo.services.federation.events.incoming_events import IncomingEvents
from palpo.services.federation.events.policy_servers import PolicyServers
from palpo.services.federation.events.received_events import ReceivedEvents
from palpo.services.federation.fetching.past_events import PastEvents
from palpo.services.federation.fetching.remote_auth import RemoteAuth
from palpo.services.federation.fetching.remote_past import RemotePast
from palpo.services.federation.fetching.remote_state import RemoteState
from palpo.services.federation.fetching.room_resync import RoomResync
from palpo.services.federation.keys.key_fetches import KeyFetches
from palpo.services.federation.keys.key_notary import KeyNotary
from palpo.services.federation.keys.keyring import Keyring
from palpo.services.federation.memberships.joining_rooms import JoiningRooms
from palpo.services.federation.memberships.partial_rooms import PartialRooms
from palpo.services.federation.receiving.edus import Edus
from palpo.services.federation.receiving.event_reports import EventReports
from palpo.services.federation.receiving.gaps import Gaps
from palpo.services.federation.receiving.inbound import Inbound
from palpo.services.federation.receiving.staging import Staging
from palpo.services.federation.receiving.transactions import Transactions
from palpo.services.federation.sending.fan_out import FanOut
from palpo.services.federation.sending.news import News
from palpo.services.federation.sending.outgoing_edus import OutgoingEdus
from palpo.services.federation.sending.outgoing_transactions import OutgoingTransactions
from palpo.services.federation.servers.away_servers import AwayServers
from palpo.services.federation.servers.destinations import Destinations
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.federation.servers.server_acls import ServerAcls
from palpo.services.federation.servers.told_servers import ToldServers
from palpo.services.federation.serving.join_answers import JoinAnswers
from palpo.services.federation.serving.membership_templates import MembershipTemplates
from palpo.services.federation.serving.received_invites import ReceivedInvites
from palpo.services.federation.serving.sent_memberships import SentMemberships
from palpo.services.federation.serving.served_events import ServedEvents
from palpo.services.federation.serving.served_hierarchy import ServedHierarchy
from palpo.services.federation.serving.served_relationships import ServedRelationships
from palpo.services.federation.serving.served_state import ServedState
from palpo.services.federation.serving.served_timestamps import ServedTimestamps
from palpo.services.federation.serving.third_party_exchanges import ThirdPartyExchanges


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys of other servers, and what is signed with them."""

    key_fetches: KeyFetches
    key_notary: KeyNotary
    keyring: Keyring
    received_events: ReceivedEvents


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is asked of other servers on behalf of users here, and who may be asked."""

    away_servers: AwayServers
    incoming_events: IncomingEvents
    joining_rooms: JoiningRooms
    past_events: PastEvents
    policy_servers: PolicyServers
    remote_auth: RemoteAuth
    remote_directories: RemoteDirectories
    remote_hierarchy: RemoteHierarchy
    remote_past: RemotePast
    remote_relationships: RemoteEventRelationships
    remote_state: RemoteState
    remote_timestamps: RemoteTimestamps
    room_servers: RoomServers
    told_servers: ToldServers


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationServices:
    """Those that other areas use, and the API."""

    key_fetches: KeyFetches
    key_notary: KeyNotary
    keyring: Keyring
    received_events: ReceivedEvents
    inbound: Inbound
    incoming_events: IncomingEvents
    destinations: Destinations
    edus: Edus
    event_reports: EventReports
    gaps: Gaps
    join_answers: JoinAnswers
    membership_templates: MembershipTemplates
    policy_servers: PolicyServers
    received_invites: ReceivedInvites
    fan_out: FanOut
    news: News
    outgoing_edus: OutgoingEdus
    outgoing_transactions: OutgoingTransactions
    partial_rooms: PartialRooms
    room_resync: RoomResync
    room_servers: RoomServers
    sent_memberships: SentMemberships
    served_events: ServedEvents
    served_hierarchy: ServedHierarchy
    served_relationships: ServedRelationships
    served_state: ServedState
    served_timestamps: ServedTimestamps
    remote_device_lists: RemoteDeviceLists
    server_acls: ServerAcls
    staging: Staging
    third_party_exchanges: ThirdPartyExchanges
    told_servers: ToldServers
    transactions: Transactions
