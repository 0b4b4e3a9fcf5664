"""What administrators do, made of all other areas."""

from __future__ import annotations

from functools import partial

from palpo.app.composition.assembly import assemble
from palpo.app.composition.server import USER_AGENT
from palpo.app.composition.transport import federation_check
from palpo.services.accounts import AccountServices
from palpo.services.administration import AdministrationServices
from palpo.services.administration.server_checks import ServerChecks
from palpo.services.federation import FederationServices
from palpo.services.history import HistoryServices
from palpo.services.media import MediaServices
from palpo.services.personal import PersonalServices
from palpo.services.reading import ReadingServices
from palpo.services.rooms import RoomServices
from palpo.services.server import Server


def build_administration(
    server: Server,
    accounts: AccountServices,
    history: HistoryServices,
    media: MediaServices,
    personal: PersonalServices,
    rooms: RoomServices,
    reading: ReadingServices,
    federation: FederationServices,
) -> AdministrationServices:
    checks = partial(federation_check, server.config, server.key, server.clock, user_agent=USER_AGENT)
    return assemble(
        AdministrationServices,
        server,
        accounts,
        history,
        media,
        personal,
        rooms,
        reading,
        federation,
        server_checks=ServerChecks(checks),
    )
