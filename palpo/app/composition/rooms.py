"""What users do with rooms."""

from __future__ import annotations

from collections.abc import Iterable

from palpo.app.composition.assembly import assemble
from palpo.app.composition.hooks import Hooks
from palpo.app.composition.remotes import Remotes
from palpo.services.accounts import AccountServices
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.rooms import RoomServices
from palpo.services.rooms.aliases import Aliases
from palpo.services.rooms.delayed_events import Charge, Charges
from palpo.services.rooms.memberships import Memberships
from palpo.services.rooms.restricted_joins import RestrictedJoins
from palpo.services.rooms.room_succession import RoomSuccession, carry_over
from palpo.services.server import Server


def build_rooms(
    server: Server,
    accounts: AccountServices,
    history: HistoryServices,
    personal: PersonalServices,
    hooks: Hooks,
    remotes: Remotes,
    charges: Iterable[Charge],
) -> RoomServices:
    succession = RoomSuccession(
        history.room_heads, history.room_access, carry_over(personal.account_data, personal.push_rules)
    )
    restricted = RestrictedJoins(server.db, history.room_heads, history.room_access, server_name=server.name)
    memberships = Memberships(
        server,
        history,
        accounts.profiles,
        restricted,
        succession,
        personal.invite_permissions,
        hooks.leave,
        remote=remotes.memberships,
    )
    aliases = Aliases(
        server.db,
        server.clock,
        history,
        accounts.appservices,
        server.quotas,
        hooks.unknown_alias,
        server_name=server.name,
        remote=remotes.aliases,
    )
    return assemble(
        RoomServices,
        server,
        accounts,
        history,
        personal,
        remotes,
        succession,
        Charges(charges),
        memberships=memberships,
        restricted_joins=restricted,
        aliases=aliases,
    )
