"""What administrators do, made of all other areas."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.services.accounts import AccountServices
from palpo.services.administration import AdministrationServices
from palpo.services.federation import FederationServices
from palpo.services.history import HistoryServices
from palpo.services.media import MediaServices
from palpo.services.rooms import RoomServices
from palpo.services.server import Server


def build_administration(
    server: Server,
    accounts: AccountServices,
    history: HistoryServices,
    media: MediaServices,
    rooms: RoomServices,
    federation: FederationServices,
) -> AdministrationServices:
    return assemble(AdministrationServices, server, accounts, history, media, rooms, federation)
