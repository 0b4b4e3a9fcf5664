"""What is unread, and who is told of it."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.push import PushServices
from palpo.services.push.pushers import Pushers
from palpo.services.server import Server


def build_push(server: Server, history: HistoryServices, personal: PersonalServices) -> PushServices:
    pushers = Pushers(
        server.db, server.clock, server.config.push, server.quotas, email=server.mailer is not None
    )
    return assemble(PushServices, server, server.config, history, personal, pushers=pushers)
