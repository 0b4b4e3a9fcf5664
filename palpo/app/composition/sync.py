"""What is new to a device."""

from __future__ import annotations

import secrets

from palpo.app.composition.assembly import assemble
from palpo.services.encryption import EncryptionServices
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.push import PushServices
from palpo.services.reading import ReadingServices
from palpo.services.rooms import RoomServices
from palpo.services.server import Server
from palpo.sync import SyncServices
from palpo.sync.sliding.connections import Connections


def build_sync(
    server: Server,
    history: HistoryServices,
    encryption: EncryptionServices,
    personal: PersonalServices,
    rooms: RoomServices,
    reading: ReadingServices,
    push: PushServices,
) -> SyncServices:
    connections = Connections(server.db, server.clock, server.caches, random_tag=lambda: secrets.token_hex(6))
    return assemble(
        SyncServices, server, history, encryption, personal, rooms, reading, push, connections=connections
    )
