"""What is unread, and who is told of it."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.push import PushServices
from palpo.services.push.push_delivery import PushDelivery
from palpo.services.push.push_emails import EmailDigests
from palpo.services.push.push_gateways import PushGateways
from palpo.services.push.push_judge import PushJudge
from palpo.services.push.push_rooms import PushRooms
from palpo.services.push.pushers import Pushers
from palpo.services.push.thread_followers import ThreadFollowers
from palpo.services.push.unread import Unread
from palpo.services.server import Server


def build_push(server: Server, history: HistoryServices, personal: PersonalServices) -> PushServices:
    """What is unread, and who is told of it."""
    config, db, clock = server.config, server.db, server.clock
    wakeups, caches = server.wakeups, server.caches
    heads = history.room_heads
    push_rules, account_data = personal.push_rules, personal.account_data
    rooms = PushRooms(db, wakeups, history.events, heads, caches)
    followers = ThreadFollowers(db, wakeups, history.threads, caches)
    judge = PushJudge(
        history.state_at, rooms, push_rules, account_data, personal.invite_permissions, followers
    )
    unread = Unread(server, history, rooms, push_rules, account_data, followers)
    return assemble(
        PushServices,
        server,
        history,
        push_delivery=PushDelivery(
            db,
            clock,
            wakeups,
            history,
            unread,
            PushGateways(server.http, heads),
            EmailDigests(server.mailer, heads, server_name=server.name),
            digest_interval_ms=config.email.digest_interval_seconds * 1000,
        ),
        push_judge=judge,
        pushers=Pushers(db, clock, config.push, server.quotas, email=server.mailer is not None),
        unread=unread,
    )
