"""What federation plugs in."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.app.composition.federation import signer_of
from palpo.media.remote import RemoteMedia
from palpo.services.accounts.profiles import RemoteProfiles
from palpo.services.encryption.remote_keys import RemoteDevices, RemoteKeys
from palpo.services.federation import Asking, Keys
from palpo.services.federation.asking.remote_device_lists import RemoteDeviceLists
from palpo.services.federation.asking.remote_media import MediaOverFederation
from palpo.services.federation.asking.remote_user_keys import RemoteUserKeys
from palpo.services.federation.events.handshakes import Handshakes
from palpo.services.federation.events.shown_state import ShownState
from palpo.services.federation.memberships.partial_joins import PartialJoins
from palpo.services.federation.memberships.remote_invites import RemoteInvites
from palpo.services.federation.memberships.remote_join_answers import RemoteJoinAnswers
from palpo.services.federation.memberships.remote_joins import RemoteJoins
from palpo.services.federation.memberships.remote_knocks import RemoteKnocks
from palpo.services.federation.memberships.remote_leaves import RemoteLeaves
from palpo.services.federation.memberships.remote_memberships import FederatedMemberships
from palpo.services.federation.memberships.whom_to_ask import WhomToAsk
from palpo.services.federation.sending.outgoing_to_device import OutgoingToDevice
from palpo.services.federation.servers.away_servers import AwayServers
from palpo.services.federation.servers.remote_queries import RemoteQueries
from palpo.services.history import HistoryServices
from palpo.services.reading.remote_history import RemoteHistory, RemoteRelationships, RemoteTimes
from palpo.services.rooms.aliases import RemoteAliases
from palpo.services.rooms.remote_memberships import RemoteMemberships
from palpo.services.rooms.remote_rooms import RemoteRooms
from palpo.services.rooms.room_directory import RemoteDirectory
from palpo.services.server import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Remotes:
    """What services do by means of other servers; None where this one does not federate."""

    aliases: RemoteAliases | None = None
    devices: RemoteDevices | None = None
    directory: RemoteDirectory | None = None
    history: RemoteHistory | None = None
    keys: RemoteKeys | None = None
    media: RemoteMedia | None = None
    memberships: RemoteMemberships | None = None
    profiles: RemoteProfiles | None = None
    relationships: RemoteRelationships | None = None
    rooms: RemoteRooms | None = None
    times: RemoteTimes | None = None


def build_remotes(server: Server, keys: Keys, asking: Asking, history: HistoryServices) -> Remotes:
    """What this server can do by means of others."""
    if not server.config.federation.enabled:
        return Remotes()
    queries = RemoteQueries(server.federation_client)
    media = MediaOverFederation(
        server.federation_client, server.http, limit=server.config.media.max_upload_bytes
    )
    return Remotes(
        aliases=queries,
        directory=asking.remote_directories,
        history=asking.remote_past,
        devices=OutgoingToDevice(server.random_id),
        keys=build_remote_user_keys(server, asking.away_servers),
        media=media,
        memberships=build_memberships(server, keys, asking, history),
        profiles=queries.profile,
        relationships=asking.remote_relationships,
        rooms=asking.remote_hierarchy,
        times=asking.remote_timestamps,
    )


def build_memberships(
    server: Server, keys: Keys, asking: Asking, history: HistoryServices
) -> FederatedMemberships:
    """What users are to rooms, by means of other servers."""
    client, outside = server.federation_client, history.outside_memberships
    signer = signer_of(server)
    answers = RemoteJoinAnswers(keys.received_events)
    handshakes = Handshakes(client, signer, asking.told_servers)
    whom = WhomToAsk(server.db, history, asking.room_servers, server_name=server.name)
    return FederatedMemberships(
        RemoteJoins(
            handshakes,
            answers,
            asking.joining_rooms,
            history,
            server.background,
            server_name=server.name,
            partial_joins=server.config.federation.partial_joins,
        ),
        PartialJoins(handshakes, answers, asking.joining_rooms, whom, history),
        RemoteKnocks(handshakes, ShownState(keys.received_events), outside),
        RemoteLeaves(handshakes, signer, outside, server.background),
        RemoteInvites(client, keys.keyring, asking.policy_servers, history),
        whom,
        history,
        server.background,
    )


def build_remote_user_keys(server: Server, away: AwayServers) -> RemoteUserKeys:
    """Who asks for the keys of other servers' users."""
    client = server.federation_client
    lists = RemoteDeviceLists(server.db, server.wakeups, server.clock, client)
    return RemoteUserKeys(lists, client, away)
