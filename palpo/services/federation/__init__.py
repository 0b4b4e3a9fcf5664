"""What servers ask each other."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.federation.away_servers import AwayServers
from palpo.services.federation.destinations import Destinations
from palpo.services.federation.edus import Edus
from palpo.services.federation.event_reports import EventReports
from palpo.services.federation.fan_out import FanOut
from palpo.services.federation.gaps import Gaps
from palpo.services.federation.inbound import Inbound
from palpo.services.federation.incoming_events import IncomingEvents
from palpo.services.federation.join_answers import JoinAnswers
from palpo.services.federation.joining_rooms import JoiningRooms
from palpo.services.federation.key_fetches import KeyFetches
from palpo.services.federation.key_notary import KeyNotary
from palpo.services.federation.keyring import Keyring
from palpo.services.federation.membership_templates import MembershipTemplates
from palpo.services.federation.news import News
from palpo.services.federation.outgoing_edus import OutgoingEdus
from palpo.services.federation.outgoing_transactions import OutgoingTransactions
from palpo.services.federation.partial_rooms import PartialRooms
from palpo.services.federation.past_events import PastEvents
from palpo.services.federation.policy_servers import PolicyServers
from palpo.services.federation.received_events import ReceivedEvents
from palpo.services.federation.received_invites import ReceivedInvites
from palpo.services.federation.remote_auth import RemoteAuth
from palpo.services.federation.remote_device_lists import RemoteDeviceLists
from palpo.services.federation.remote_directory import RemoteDirectories
from palpo.services.federation.remote_hierarchy import RemoteHierarchy
from palpo.services.federation.remote_past import RemotePast
from palpo.services.federation.remote_relationships import RemoteEventRelationships
from palpo.services.federation.remote_state import RemoteState
from palpo.services.federation.remote_timestamps import RemoteTimestamps
from palpo.services.federation.room_resync import RoomResync
from palpo.services.federation.room_servers import RoomServers
from palpo.services.federation.sent_memberships import SentMemberships
from palpo.services.federation.served_events import ServedEvents
from palpo.services.federation.served_hierarchy import ServedHierarchy
from palpo.services.federation.served_relationships import ServedRelationships
from palpo.services.federation.served_state import ServedState
from palpo.services.federation.served_timestamps import ServedTimestamps
from palpo.services.federation.server_acls import ServerAcls
from palpo.services.federation.staging import Staging
from palpo.services.federation.third_party_exchanges import ThirdPartyExchanges
from palpo.services.federation.told_servers import ToldServers
from palpo.services.federation.transactions import Transactions


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
