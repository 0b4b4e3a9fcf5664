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
from palpo.services.rooms.delayed_events import Charge, DelayedEvents
from palpo.services.rooms.memberships import Memberships
from palpo.services.rooms.reports import Reports
from palpo.services.rooms.restricted_joins import RestrictedJoins
from palpo.services.rooms.room_creation import RoomCreation
from palpo.services.rooms.room_directory import RoomDirectory
from palpo.services.rooms.room_overviews import Overviews
from palpo.services.rooms.room_state import RoomState
from palpo.services.rooms.room_succession import RoomSuccession, carry_over
from palpo.services.rooms.sending import Sending
from palpo.services.rooms.third_party_invites import ThirdPartyInvites
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
    """What users do with rooms."""
    db, clock, wakeups, caches = server.db, server.clock, server.wakeups, server.caches
    events, heads = history.events, history.room_heads
    access, writer = history.room_access, history.room_writer
    profiles, appservices = accounts.profiles, accounts.appservices
    permissions = personal.invite_permissions
    overviews = Overviews(db, events, wakeups, caches)
    directory = RoomDirectory(
        db,
        heads,
        access,
        overviews,
        wakeups,
        caches,
        server_name=server.name,
        remote=remotes.directory,
    )
    aliases = Aliases(
        db,
        clock,
        history,
        appservices,
        server.quotas,
        hooks.unknown_alias,
        server_name=server.name,
        remote=remotes.aliases,
    )
    restricted = RestrictedJoins(db, heads, access, server_name=server.name)
    succession = RoomSuccession(heads, access, carry_over(personal.account_data, personal.push_rules))
    memberships = Memberships(
        server,
        history,
        profiles,
        restricted,
        succession,
        permissions,
        hooks.leave,
        remote=remotes.memberships,
    )
    creation = RoomCreation(
        server, writer, aliases, directory, profiles, succession, memberships, permissions
    )
    state = RoomState(db, events, heads, access, writer, memberships, aliases, appservices)
    sending = Sending(db, events, heads, writer, memberships)
    return assemble(
        RoomServices,
        server,
        accounts,
        history,
        personal,
        overviews,
        aliases=aliases,
        delayed_events=DelayedEvents(server, access, sending, state, charges),
        memberships=memberships,
        reports=Reports(db, clock, events, heads, access, server.quotas, server_name=server.name),
        room_creation=creation,
        room_directory=directory,
        room_state=state,
        sending=sending,
        third_party_invites=ThirdPartyInvites(
            heads,
            writer,
            memberships,
            profiles,
            accounts.identity_servers,
            server.http,
            server_name=server.name,
        ),
    )
