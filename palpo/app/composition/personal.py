"""What users keep, and tell each other beside events."""

from __future__ import annotations

from palpo.app.composition.hooks import Hooks
from palpo.services.history import HistoryServices
from palpo.services.personal import PersonalServices
from palpo.services.personal.account_data import AccountData
from palpo.services.personal.filters import Filters
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.services.personal.presence import PresenceTracker
from palpo.services.personal.push_rules import PushRules
from palpo.services.personal.receipts import Receipts
from palpo.services.personal.thread_subscriptions import ThreadSubscriptions
from palpo.services.personal.typing import Typing
from palpo.services.server import Server


def build_personal(server: Server, history: HistoryServices, hooks: Hooks) -> PersonalServices:
    """What users keep, and tell each other beside events."""
    config, db, clock = server.config, server.db, server.clock
    wakeups, caches = server.wakeups, server.caches
    events, access = history.events, history.room_access
    push_rules = PushRules(db, wakeups, config.push, caches, hooks.push_change)
    account_data = AccountData(db, wakeups, push_rules, caches, server.quotas)
    return PersonalServices(
        account_data=account_data,
        filters=Filters(db, caches, server.quotas),
        invite_permissions=InvitePermissions(db, account_data),
        presence=PresenceTracker(db, wakeups, clock, config.presence, caches, server_name=server.name),
        push_rules=push_rules,
        receipts=Receipts(db, wakeups, clock, events, access, history.threads, caches),
        thread_subscriptions=ThreadSubscriptions(
            db,
            events,
            history.visibility,
            wakeups,
            server.quotas,
            hooks.push_change if config.push.thread_subscriptions else (),
        ),
        typing=Typing(db, wakeups, clock, access, caches),
    )
