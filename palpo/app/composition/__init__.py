"""Constructs every service: who is made of what.

Each area of services has a function here, which makes it of those below. What services tell each other the
other way round is in ``hooks``; what federation will plug in is in ``remotes``. Nothing is begun here.
"""

from __future__ import annotations

from collections.abc import Iterable

from palpo.api.services import Services
from palpo.app.composition.accounts import build_accounts
from palpo.app.composition.administration import build_administration
from palpo.app.composition.appservices import build_appservices
from palpo.app.composition.encryption import build_encryption
from palpo.app.composition.federation import build_asking, build_federation, build_keys
from palpo.app.composition.history import build_history
from palpo.app.composition.hooks import Hooks, connect
from palpo.app.composition.media import build_media
from palpo.app.composition.oauth import build_oauth
from palpo.app.composition.personal import build_personal
from palpo.app.composition.push import build_push
from palpo.app.composition.reading import build_reading
from palpo.app.composition.remotes import build_remotes
from palpo.app.composition.rooms import build_rooms
from palpo.app.composition.sign_on import build_sign_on
from palpo.app.composition.sync import build_sync
from palpo.services.rooms.delayed_events import Charge
from palpo.services.server import Server


def build_services(server: Server, *, charges: Iterable[Charge] = ()) -> Services:
    """Every service. ``charges`` are who takes delayed events from their users' budgets."""
    hooks = Hooks()
    history = build_history(server, hooks)
    keys = build_keys(server)
    asking = build_asking(server, keys, history)
    remotes = build_remotes(server, keys, asking, history)
    accounts = build_accounts(server, hooks, remotes)
    encryption = build_encryption(server, accounts, history, remotes)
    personal = build_personal(server, history, hooks)
    rooms = build_rooms(server, accounts, history, personal, hooks, remotes, charges)
    reading = build_reading(server, accounts, history, personal, rooms, remotes)
    push = build_push(server, history, personal)
    media = build_media(server, remotes)
    federation = build_federation(
        server, keys, asking, accounts, history, encryption, personal, rooms, reading
    )
    services = Services(
        server=server,
        accounts=accounts,
        sign_on=build_sign_on(server, accounts, media),
        history=history,
        media=media,
        encryption=encryption,
        personal=personal,
        rooms=rooms,
        reading=reading,
        push=push,
        appservices=build_appservices(accounts),
        federation=federation,
        oauth=build_oauth(server, accounts),
        administration=build_administration(
            server, accounts, history, media, personal, rooms, reading, federation
        ),
        sync=build_sync(server, history, encryption, personal, rooms, reading, push),
    )
    connect(hooks, services)
    return services
