"""How clients read rooms outside of sync."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.app.composition.remotes import Remotes
from palpo.services.accounts import AccountServices
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.reading import ReadingServices
from palpo.services.rooms import RoomServices
from palpo.services.server import Server


def build_reading(
    server: Server,
    accounts: AccountServices,
    history: HistoryServices,
    personal: PersonalServices,
    rooms: RoomServices,
    remotes: Remotes,
) -> ReadingServices:
    return assemble(ReadingServices, server, accounts, history, personal, rooms, remotes)
