"""What users keep, and tell each other beside events."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.app.composition.hooks import Hooks
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.personal.push_rules import PushRules
from palpo.services.personal.thread_subscriptions import ThreadSubscriptions
from palpo.services.server import Server


def build_personal(server: Server, history: HistoryServices, hooks: Hooks) -> PersonalServices:
    push = server.config.push
    return assemble(
        PersonalServices,
        server,
        server.config,
        history,
        push_rules=PushRules(server.db, server.wakeups, push, server.caches, hooks.push_change),
        thread_subscriptions=ThreadSubscriptions(
            server.db,
            history.events,
            history.visibility,
            server.wakeups,
            server.quotas,
            hooks.push_change if push.thread_subscriptions else (),
        ),
    )
