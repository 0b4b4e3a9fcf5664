"""What servers ask each other."""

from __future__ import annotations

from collections.abc import Iterable

from palpo.app.composition.assembly import assemble
from palpo.core.identifiers import ServerName
from palpo.services.accounts import AccountServices
from palpo.services.encryption import EncryptionServices
from palpo.services.federation import Asking, FederationServices, Keys
from palpo.services.federation.events.templates import Signer
from palpo.services.federation.keys.remote_keys import NOBODY, KeySources, Notary, RemoteKeysClient
from palpo.services.federation.receiving.edu_senders import EduSenders
from palpo.services.federation.receiving.edus import Edus, Receiver
from palpo.services.federation.receiving.incoming_device_lists import IncomingDeviceLists, IncomingSigningKeys
from palpo.services.federation.receiving.incoming_presence import IncomingPresence
from palpo.services.federation.receiving.incoming_receipts import IncomingReceipts
from palpo.services.federation.receiving.incoming_to_device import IncomingToDevice
from palpo.services.federation.receiving.incoming_typing import IncomingTyping
from palpo.services.federation.servers.server_acls import ServerAcls
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.reading import ReadingServices
from palpo.services.rooms import RoomServices
from palpo.services.server import Server


def build_keys(server: Server) -> Keys:
    """The keys of other servers, which whatever is asked of them needs."""
    return assemble(Keys, server, key_sources(server))


def key_sources(server: Server) -> KeySources:
    """Who is asked for keys."""
    if not server.config.federation.enabled:
        return NOBODY
    notaries = (
        Notary(name=ServerName(notary.name), verify_keys=notary.keys)
        for notary in server.config.federation.notaries
    )
    return KeySources(remote=RemoteKeysClient(server.federation_client), notaries=tuple(notaries))


def signer_of(server: Server) -> Signer:
    """Who signs events of users of this server that others give templates of."""
    return Signer(
        server_name=server.name, key=server.key, now_ms=server.clock.now_ms, random_id=server.random_id
    )


def build_asking(server: Server, keys: Keys, history: HistoryServices) -> Asking:
    """What other areas ask other servers through."""
    return assemble(Asking, server, keys, history)


def build_federation(
    server: Server,
    keys: Keys,
    asking: Asking,
    accounts: AccountServices,
    history: HistoryServices,
    encryption: EncryptionServices,
    personal: PersonalServices,
    rooms: RoomServices,
    reading: ReadingServices,
) -> FederationServices:
    acls = ServerAcls(history.room_heads, server.caches)
    senders = EduSenders(server.name, history.room_access, asking.room_servers, acls, history.completions)
    return assemble(
        FederationServices,
        server,
        signer_of(server),
        keys,
        asking,
        accounts,
        history,
        personal,
        rooms,
        reading,
        edus=Edus(receivers(server, history, encryption, personal, senders)),
        server_acls=acls,
    )


def receivers(
    server: Server,
    history: HistoryServices,
    encryption: EncryptionServices,
    personal: PersonalServices,
    senders: EduSenders,
) -> Iterable[Receiver]:
    """Who wants which EDUs."""
    yield IncomingDeviceLists(server.db, server.clock)
    yield IncomingSigningKeys(server.db)
    yield IncomingToDevice(encryption.to_device)
    yield IncomingPresence(senders, personal.presence, server.clock)
    yield IncomingReceipts(senders, personal.receipts, history.events, server.clock)
    yield IncomingTyping(senders, personal.typing)
