"""The container of services: made once by ``palpo.app``, seen by handlers and by nothing below."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.config.model import Config
from palpo.db.engine import Database
from palpo.services.accounts import Accounts
from palpo.services.device_removal import DeviceRemoval
from palpo.services.event_store import EventStore
from palpo.services.logins import Logins
from palpo.services.registration import Registration
from palpo.services.room_heads import RoomHeads
from palpo.services.room_writer import RoomWriter
from palpo.services.server_keys import ServerKeys
from palpo.services.sessions import Sessions
from palpo.services.user_interactive_auth import UserInteractiveAuth
from palpo.streams.background import Background
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Every use case that the API offers."""

    config: Config
    clock: Clock
    db: Database
    wakeups: Wakeups
    background: Background
    sessions: Sessions
    device_removal: DeviceRemoval
    logins: Logins
    registration: Registration
    interactive_auth: UserInteractiveAuth
    accounts: Accounts
    server_keys: ServerKeys
    events: EventStore
    room_heads: RoomHeads
    room_writer: RoomWriter
