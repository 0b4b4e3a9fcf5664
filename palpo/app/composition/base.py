"""What every service is made of in the end."""

from __future__ import annotations

import secrets

from palpo.config.model import Config
from palpo.db.engine import Database
from palpo.net.addresses import AddressPolicy
from palpo.services.server.server_identity import Identity
from palpo.services.server.stream_history import StreamHistory
from palpo.streams.background import Background
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

ANYWHERE = AddressPolicy(("0.0.0.0/0", "::/0"))
"""For application services: the operator said where they are."""


def random_id() -> str:
    """24 characters that nobody can guess."""
    return secrets.token_urlsafe(18)


def random_tag() -> str:
    """12 characters that tell connections apart."""
    return secrets.token_hex(6)


class Base:
    """The foundation, as it was handed in."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        db: Database,
        wakeups: Wakeups,
        background: Background,
        identity: Identity,
        caches: CacheBudget,
    ) -> None:
        self.config = config
        self.server_name = config.server_name
        self.clock = clock
        self.db = db
        self.wakeups = wakeups
        self.background = background
        self.key = identity.key
        self.stream_history = StreamHistory(db, wakeups, identity.gaps)
        self.caches = caches
